"""Publishing to Redis pub/sub from a plain thread, with a circuit breaker for each host. Needs the extra `redis`."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis
from channels_redis.utils import _consistent_hash, decode_hosts

from realtime.redis_client import redis_client

from .envelopes import GroupMessage
from .publishers import Unsent


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
            raise Unsent(unsent, reason) from reason

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
            self.client = self.client or redis_client(self.options)
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
