"""One rate limiter for HTTP calls (api/throttles.py), WebSocket frames and received bytes: a token bucket."""

import time


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
    def retry_after(self) -> float:
        """Seconds from the last `take` until there is a token; 0 if there was one left."""
        return max(0.0, 1 - self._tokens) / self.rate
