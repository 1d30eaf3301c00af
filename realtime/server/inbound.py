"""How much of what a client sends is parsed: a share of each turn of the event loop, and a rate over time.

The rate limit of sockets/consumers.py counts whole messages. Control frames, fragments, and what follows a close frame
are none, and cost as much: 3.4 µs a frame of six bytes. Here bytes are counted, before the parser sees them.
"""

import asyncio
from collections.abc import Callable

from messaging.token_bucket import TokenBucket

# About a millisecond of the smallest frames.
BYTES_PER_TURN = 2 * 1024
# What docs/protocol.md allows, 60 frames of 4 KiB and then 5 a second, twice.
BYTES_PER_BURST = 512 * 1024
BYTES_PER_SECOND = 48 * 1024


class Inbound:
    """Received bytes on their way to a parser, in slices. `pause` and `resume` stop and go on with reading."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        parse: Callable[[bytes], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        self._loop, self._parse, self._pause, self._resume = loop, parse, pause, resume
        self._bucket = TokenBucket(BYTES_PER_SECOND, BYTES_PER_BURST)
        self._waiting = bytearray()
        self._reserved = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def is_waiting(self) -> bool:
        """Whether bytes wait to be parsed. Until then nothing more is to be read, so that the client waits, too."""
        return self._timer is not None

    def receive(self, data: bytes) -> None:
        if self._timer is None:
            delay = self._reserve(len(data))
            if delay == 0 and len(data) <= BYTES_PER_TURN:
                self._parse(data)
                return
            self._timer = self._loop.call_later(delay, self._parse_next)
        self._waiting += data
        self._pause()

    def close(self) -> None:
        """Parse nothing more, and let go of the owner: the two would be a reference cycle."""
        self._is_closed = True
        self._parse, self._pause, self._resume = lambda data: None, lambda: None, lambda: None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reserve(self, available: int) -> float:
        """Pay for the next slice of so many bytes, before it is parsed. Returns in how many seconds it may be."""
        self._reserved = min(available, BYTES_PER_TURN)
        return self._bucket.reserve(self._reserved)

    def _parse_next(self) -> None:
        data = bytes(self._waiting[: self._reserved])
        del self._waiting[: self._reserved]
        self._parse(data)
        if self._is_closed:
            return
        if self._waiting:
            self._timer = self._loop.call_later(self._reserve(len(self._waiting)), self._parse_next)
        else:
            self._timer = None
            self._resume()
