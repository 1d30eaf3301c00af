"""How much of what one client sends is parsed: in slices, at a rate, and beyond a little only in its turn.

The limits of the application count whole messages and requests. Control frames, fragments, chunks, and what follows a
close frame are none, and cost as much: 3.4 µs a frame of six bytes. So bytes are counted, before the parser sees them.
"""

import asyncio
from collections.abc import Callable

from messaging.token_bucket import TokenBucket

from .turns import BYTES_PER_TURN, turns_of

# So much of a burst is parsed as it arrives: a handshake with its head, some commands, a call of the API.
LIGHT_BYTES = 16 * 1024

# The size of the next slice of these bytes, and what it costs: 0 for bytes that aren't parsed one by one.
Measure = Callable[[bytes | bytearray], tuple[int, int]]


def one_turn(waiting: bytes | bytearray) -> tuple[int, int]:
    size = min(len(waiting), BYTES_PER_TURN)
    return size, size


class Inbound:
    """Received bytes on their way to a parser. `pause` and `resume` stop and go on with reading.

    `measure` may return a size of 0: then nothing is parsed until `go_on` is called.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        parse: Callable[[bytes], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
        measure: Measure = one_turn,
        *,
        bytes_per_second: int,
        bytes_per_burst: int,
    ) -> None:
        self._loop, self._turns = loop, turns_of(loop)
        self._parse, self._pause, self._resume, self._measure = parse, pause, resume, measure
        self._bucket = TokenBucket(bytes_per_second, bytes_per_burst)
        self._waiting = bytearray()
        # The size of the slice that has been paid for, until it is parsed.
        self._paid = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def is_waiting(self) -> bool:
        """Whether bytes wait to be parsed. Until then nothing more is to be read, so that the client waits, too."""
        return bool(self._waiting)

    def receive(self, data: bytes) -> None:
        if not self._waiting:
            size, cost = self._measure(data)
            delay = self._pay(size, cost)
            if size == len(data) and (cost == 0 or self._bucket.used <= LIGHT_BYTES):
                self._paid = 0
                self._parse(data)
                return
            self._schedule(cost, delay)
        self._waiting += data
        self._pause()

    def go_on(self) -> None:
        """What made `measure` return 0 has ended."""
        if self._waiting and not self._paid:
            self._next()

    def close(self) -> None:
        """Parse nothing more, and let go of the owner: the two would be a reference cycle."""
        self._is_closed = True
        self._parse, self._pause, self._resume = lambda data: None, lambda: None, lambda: None
        self._measure = one_turn
        # A turn that is still to come parses nothing.
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        size, cost = self._measure(self._waiting)
        self._schedule(cost, self._pay(size, cost))

    def _pay(self, size: int, cost: int) -> float:
        """Pay for the next slice, before it is parsed. Returns in how many seconds it may be."""
        self._paid = size
        return self._bucket.reserve(cost) if cost else 0.0

    def _schedule(self, cost: int, delay: float) -> None:
        if self._paid and delay == 0 and cost:
            self._take_turn()
        elif self._paid:
            self._timer = self._loop.call_later(delay, self._take_turn if cost else self._parse_next)

    def _take_turn(self) -> None:
        self._timer = None
        self._turns.add(self._parse_next)

    def _parse_next(self) -> None:
        self._timer = None
        data = bytes(self._waiting[: self._paid])
        del self._waiting[: self._paid]
        self._paid = 0
        self._parse(data)
        if self._is_closed:
            return
        if self._waiting:
            self._next()
        else:
            self._resume()
