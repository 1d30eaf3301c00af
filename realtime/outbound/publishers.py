"""Publishing to the channel layer from a plain thread: one publisher for each kind of layer.

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

from .envelopes import GroupMessage


class Unsent(Exception):
    """The layer is away for these messages."""

    def __init__(self, messages: Sequence[GroupMessage]) -> None:
        super().__init__(messages)
        self.messages = messages

    def __str__(self) -> str:
        return f"{len(self.messages)} unsent, {self.__cause__}"


class Publisher(Protocol):
    def publish(self, messages: Sequence[GroupMessage]) -> None:
        """Publish messages in order, within about a second a host.

        Raises Unsent with those that may be sent later, or what else the layer raises.
        """

    def close(self) -> None: ...


class LocalPublisher:
    """For a layer within this process: the messages are handed to the server's loop, if there is one."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def publish(self, messages: Sequence[GroupMessage]) -> None:
        for loop in list(background.server_loops):
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._publish_here, list(messages))

    def _publish_here(self, messages: list[GroupMessage]) -> None:
        spawn(_group_send_all(self.layer, messages))

    def close(self) -> None: ...


class RedisPublisher:
    """For Redis pub/sub: every message of a batch in one pipeline a host, over connections of its own."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.prefix = layer._kwargs.get("prefix", "asgi")
        self.hosts = [_RedisHost(options) for options in decode_hosts(layer._kwargs.get("hosts"))]

    def publish(self, messages: Sequence[GroupMessage]) -> None:
        shards: dict[int, list[GroupMessage]] = {}
        for message in messages:
            shard = _consistent_hash(self._channel(message[0]), len(self.hosts))
            shards.setdefault(shard, []).append(message)
        unsent: list[GroupMessage] = []
        reason: Exception | None = None
        for shard, batch in shards.items():
            try:
                self.hosts[shard].publish(
                    (self._channel(group), self.layer.serialize(message)) for group, message in batch
                )
            except (redis.RedisError, OSError) as error:
                unsent.extend(batch)
                reason = error
        if unsent:
            raise Unsent(unsent) from reason

    def _channel(self, group: str) -> str:
        return f"{self.prefix}__group__{group}"

    def close(self) -> None:
        for host in self.hosts:
            host.close()


class _RedisHost:
    """One Redis, with a circuit breaker: one that is away or hangs isn't waited for again and again."""

    MAX_PAUSE = 2.0

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.client: redis.Redis | None = None
        self.pause = 0.0
        self.open_until = 0.0

    def publish(self, published: Iterable[tuple[str, bytes]]) -> None:
        """Publish (channel, data) pairs. Raises redis.RedisError or OSError, at once while the breaker is open."""
        if time.monotonic() < self.open_until:
            raise redis.ConnectionError("the last attempt failed a moment ago")
        try:
            # A new client after each failure: the host name may resolve to another address.
            self.client = self.client or _client(self.options)
            pipeline = self.client.pipeline(transaction=False)
            for channel, data in published:
                pipeline.publish(channel, data)
            pipeline.execute()
        except (redis.RedisError, OSError):
            self.close()
            self.pause = min(self.MAX_PAUSE, self.pause * 2 or 0.5)
            self.open_until = time.monotonic() + self.pause
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


class LoopPublisher:
    """For any other layer: its own asynchronous group_send, on one event loop that lives as long as the thread."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.loop = asyncio.new_event_loop()

    def publish(self, messages: Sequence[GroupMessage]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(_group_send_all(self.layer, messages), 1))

    def close(self) -> None:
        self.loop.close()


def publisher_for(layer: Any) -> Publisher:
    """Return the publisher that fits a layer."""
    if isinstance(layer, InMemoryChannelLayer):
        return LocalPublisher(layer)
    if isinstance(layer, RedisPubSubChannelLayer):
        return RedisPublisher(layer)
    return LoopPublisher(layer)


async def _group_send_all(layer: Any, messages: Sequence[GroupMessage]) -> None:
    for group, message in messages:
        await layer.group_send(group, message)
