"""One rate limiter for HTTP calls, sign-ins, WebSocket frames and received bytes: a token bucket, also one a key."""

import threading
import time
from collections import OrderedDict

from .exceptions import TooOften


class TokenBucket:
    """Holds `burst` tokens at first; each call takes one, and `rate` tokens a second come back. Not thread-safe.

    https://en.wikipedia.org/wiki/Token_bucket
    """

    __slots__ = ("_refilled_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._refilled_at = float(burst), time.monotonic()

    def take(self) -> bool:
        """Take a token. Returns False, and takes none, if there is none."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self, tokens: int) -> float:
        """Take tokens, of the future if need be. Returns in how many seconds they will all be there."""
        self._refill()
        self._tokens -= tokens
        return max(0.0, -self._tokens / self.rate)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._refilled_at) * self.rate)
        self._refilled_at = now

    @property
    def used(self) -> float:
        """Tokens that are missing since the last call; more than `burst` if future ones are reserved."""
        return self.burst - self._tokens

    @property
    def retry_after(self) -> float:
        """Seconds from the last `take` until there is a token; 0 if there was one left."""
        return max(0.0, 1 - self._tokens) / self.rate


class TokenBuckets:
    """A token bucket for each key.

    Kept in the process's memory: with several processes each allows this much. The least recently used ones are
    dropped, which refills them: `max_keys` must exceed the keys that can call within burst / rate seconds.
    """

    def __init__(self, rate: float, burst: int, max_keys: int = 50_000) -> None:
        self.rate, self.burst, self.max_keys = rate, burst, max_keys
        self._buckets: OrderedDict[object, TokenBucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: object) -> None:
        """Take a token. Raises TooOften when there is none."""
        with self._lock:
            bucket = self._buckets.pop(key, None) or TokenBucket(self.rate, self.burst)
            self._buckets[key] = bucket
            if len(self._buckets) > self.max_keys:
                self._buckets.popitem(last=False)
            if not bucket.take():
                raise TooOften(bucket.retry_after)

    def clear(self) -> None:
        self._buckets.clear()
