"""Sending to the channel layer from a plain thread: one way for each kind of layer.

`group_send` by async_to_sync would make an event loop and a Redis connection for every call.
"""

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import redis
from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from . import tasks
from .tasks import spawn

Message = tuple[str, dict[str, Any]]


class Sender(Protocol):
    def send(self, messages: Sequence[Message]) -> None:
        """Send (group, message) pairs in order. Raises what the layer raises; returns within about a second."""

    def close(self) -> None: ...


class LocalSender:
    """For a layer that ends at this process: the messages are handed to the server's loop, if there is one."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def send(self, messages: Sequence[Message]) -> None:
        for loop in list(tasks.server_loops):
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._send_here, list(messages))

    def _send_here(self, messages: list[Message]) -> None:
        spawn(_send_all(self.layer, messages))

    def close(self) -> None: ...


class RedisSender:
    """For Redis pub/sub: every message of a batch in one pipeline, over a connection of its own.

    A breaker keeps a Redis that is gone or hung from being waited for again and again: what is dropped
    meanwhile, the sweep delivers.
    """

    LONGEST_PAUSE = 5.0

    def __init__(self, layer: Any) -> None:
        hosts = layer._kwargs.get("hosts") or [{"address": "redis://localhost:6379"}]
        self.layer = layer
        self.prefix = layer._kwargs.get("prefix", "asgi")
        self.clients = [_client(host) for host in hosts]
        self.pause = 0.0
        self.closed_until = 0.0

    def send(self, messages: Sequence[Message]) -> None:
        if time.monotonic() < self.closed_until:
            return
        try:
            self._send(messages)
        except redis.RedisError:
            self.pause = min(self.LONGEST_PAUSE, self.pause * 2 or 0.5)
            self.closed_until = time.monotonic() + self.pause
            raise
        self.pause = 0.0

    def _send(self, messages: Sequence[Message]) -> None:
        from channels_redis.utils import _consistent_hash

        shards: dict[int, list[tuple[str, bytes]]] = {}
        for group, message in messages:
            channel = f"{self.prefix}__group__{group}"
            shard = _consistent_hash(channel, len(self.clients))
            shards.setdefault(shard, []).append((channel, self.layer.serialize(message)))
        for shard, published in shards.items():
            pipeline = self.clients[shard].pipeline(transaction=False)
            for channel, data in published:
                pipeline.publish(channel, data)
            pipeline.execute()

    def close(self) -> None:
        for client in self.clients:
            client.close()


def _client(host: Any) -> "redis.Redis":
    options = dict(host) if isinstance(host, dict) else {"address": host}
    url = urlsplit(options["address"])
    if url.hostname and url.scheme == "redis":
        # Resolved now: at interpreter exit, when a one-line command still has to push, nothing resolves any more.
        address = socket.getaddrinfo(url.hostname, url.port or 6379, type=socket.SOCK_STREAM)[0][4][0]
        literal = f"[{address}]" if ":" in str(address) else str(address)
        credentials, at, _ = url.netloc.rpartition("@")
        url = url._replace(netloc=f"{credentials}{at}{literal}:{url.port or 6379}")
    return redis.Redis.from_url(
        urlunsplit(url), socket_timeout=1, socket_connect_timeout=1, health_check_interval=0
    )


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
