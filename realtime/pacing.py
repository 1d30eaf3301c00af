"""Traffic shaping of a user, over all their sockets: what exceeds the rate is delayed, where TokenBuckets refuse it.

A new socket resets the limits of a socket, but none of these. Buckets stay in the process's memory until they are full.
"""

from collections.abc import Callable
from typing import Any

from messaging.token_bucket import TokenBucket

from .conf import conf

# No wait is longer. A client that hears nothing for 37 s reconnects.
MAX_WAIT_SECONDS = 20.0
# From this many buckets on, full ones are dropped.
KEPT = 1_000


class Pace:
    """A token bucket for each user. `rate` is read when one is made."""

    def __init__(self, rate: Callable[[], float], burst_seconds: int) -> None:
        self._rate, self._burst_seconds = rate, burst_seconds
        self._buckets: dict[Any, TokenBucket] = {}
        self._look_at = KEPT

    def take(self, user_id: Any, tokens: int) -> float:
        """Take tokens, of the future if need be. Returns in how many seconds there will be some again."""
        bucket = self._buckets.get(user_id)
        if bucket is None:
            if len(self._buckets) >= self._look_at:
                self._drop_full()
            rate = self._rate()
            bucket = self._buckets[user_id] = TokenBucket(rate, max(1, int(rate * self._burst_seconds)))
        return min(bucket.reserve(tokens), MAX_WAIT_SECONDS)

    def wait(self, user_id: Any) -> float:
        """In how many seconds there will be tokens, without taking any."""
        bucket = self._buckets.get(user_id)
        return 0.0 if bucket is None else min(bucket.reserve(0), MAX_WAIT_SECONDS)

    def clear(self) -> None:
        self._buckets.clear()

    def _drop_full(self) -> None:
        for user_id, bucket in list(self._buckets.items()):
            bucket.reserve(0)
            if bucket.used == 0:
                del self._buckets[user_id]
        self._look_at = max(KEPT, 2 * len(self._buckets))


handshakes = Pace(lambda: conf.handshakes_per_second, 20)
replayed_bytes = Pace(lambda: conf.replay_bytes_per_second, 32)
# Of all sockets of a user, as many as they may have at once: docs/protocol.md allows each 60 at once and 5 a second.
frames = Pace(lambda: 5.0 * conf.max_connections_per_user, 12)
