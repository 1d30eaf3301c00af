"""Sending to the channel layer from a plain thread: one way for each kind of layer.

`group_send` by async_to_sync would make an event loop and a Redis connection for every call.
"""

import asyncio
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import redis
from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import _consistent_hash, decode_hosts
from redis.backoff import NoBackoff
from redis.retry import Retry

from realtime import background
from realtime.background import spawn

Message = tuple[str, dict[str, Any]]


class Unsent(Exception):
    """The layer is away for these messages."""

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__(messages)
        self.messages = messages

    def __str__(self) -> str:
        return f"{len(self.messages)} unsent, {self.__cause__}"


class Sender(Protocol):
    def send(self, messages: Sequence[Message]) -> None:
        """Send (group, message) pairs in order, within about a second a host.

        Raises Unsent with those that may be sent later, or what else the layer raises.
        """

    def close(self) -> None: ...


class LocalSender:
    """For a layer that ends at this process: the messages are handed to the server's loop, if there is one."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def send(self, messages: Sequence[Message]) -> None:
        for loop in list(background.server_loops):
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._send_here, list(messages))

    def _send_here(self, messages: list[Message]) -> None:
        spawn(_send_all(self.layer, messages))

    def close(self) -> None: ...


class RedisSender:
    """For Redis pub/sub: every message of a batch in one pipeline a host, over connections of its own."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.prefix = layer._kwargs.get("prefix", "asgi")
        self.hosts = [_Host(options) for options in decode_hosts(layer._kwargs.get("hosts"))]

    def send(self, messages: Sequence[Message]) -> None:
        shards: dict[int, list[Message]] = {}
        for message in messages:
            shard = _consistent_hash(self._channel(message[0]), len(self.hosts))
            shards.setdefault(shard, []).append(message)
        unsent: list[Message] = []
        reason: Exception | None = None
        for shard, those in shards.items():
            try:
                self.hosts[shard].publish(
                    (self._channel(group), self.layer.serialize(message)) for group, message in those
                )
            except (redis.RedisError, OSError) as error:
                unsent.extend(those)
                reason = error
        if unsent:
            raise Unsent(unsent) from reason

    def _channel(self, group: str) -> str:
        return f"{self.prefix}__group__{group}"

    def close(self) -> None:
        for host in self.hosts:
            host.close()


class _Host:
    """One Redis, with a breaker: one that is away or hangs isn't waited for again and again."""

    LONGEST_PAUSE = 2.0

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.client: redis.Redis | None = None
        self.pause = 0.0
        self.closed_until = 0.0

    def publish(self, published: Iterable[tuple[str, bytes]]) -> None:
        """Publish (channel, data) pairs. Raises redis.RedisError or OSError, at once while the breaker is open."""
        if time.monotonic() < self.closed_until:
            raise redis.ConnectionError("it failed a moment ago")
        try:
            # Made anew after each failure: the name may lead elsewhere by now.
            self.client = self.client or _client(self.options)
            pipeline = self.client.pipeline(transaction=False)
            for channel, data in published:
                pipeline.publish(channel, data)
            pipeline.execute()
        except (redis.RedisError, OSError):
            self.close()
            self.pause = min(self.LONGEST_PAUSE, self.pause * 2 or 0.5)
            self.closed_until = time.monotonic() + self.pause
            raise
        self.pause = 0.0

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


def _client(host: Mapping[str, Any]) -> "redis.Redis":
    options = {"socket_timeout": 1, "socket_connect_timeout": 1, **host, "retry": Retry(NoBackoff(), 0)}
    if (master := options.pop("master_name", None)) is not None:
        sentinel: Any = redis.Sentinel
        sentinels = sentinel(options.pop("sentinels"), sentinel_kwargs=options.pop("sentinel_kwargs", None))
        of_master: redis.Redis = sentinels.master_for(master, **options)
        return of_master
    if "address" not in options:
        return redis.Redis(**options)
    url = urlsplit(options.pop("address"))
    if url.hostname and url.scheme == "redis":
        # Resolved now: at interpreter exit, when a one-line command still has to push, nothing resolves any more.
        address = socket.getaddrinfo(url.hostname, url.port or 6379, type=socket.SOCK_STREAM)[0][4][0]
        literal = f"[{address}]" if ":" in str(address) else str(address)
        credentials, at, _ = url.netloc.rpartition("@")
        url = url._replace(netloc=f"{credentials}{at}{literal}:{url.port or 6379}")
    return redis.Redis.from_url(urlunsplit(url), **options)


class LoopSender:
    """For any other layer: its own asynchronous group_send, on one event loop that lives as long as the thread."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.loop = asyncio.new_event_loop()

    def send(self, messages: Sequence[Message]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(_send_all(self.layer, messages), 1))

    def close(self) -> None:
        self.loop.close()


def sender(layer: Any) -> Sender:
    """Return the sender that fits a layer."""
    if isinstance(layer, InMemoryChannelLayer):
        return LocalSender(layer)
    if isinstance(layer, RedisPubSubChannelLayer):
        return RedisSender(layer)
    return LoopSender(layer)


async def _send_all(layer: Any, messages: Sequence[Message]) -> None:
    for group, message in messages:
        await layer.group_send(group, message)
