"""The share of the event loop that parsing may take: about a millisecond in two, over all connections together.

What clients usually send is parsed as it arrives (inbound.py decides). The rest waits here, and connections take turns,
so a hundred that flood delay the others no more than one does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

# A slice: about a millisecond of the smallest frames (3.4 µs each).
BYTES_PER_TURN = 2 * 1024
TURN_SECONDS = PAUSE_SECONDS = 0.001


class Turns:
    """Slices that wait to be parsed, on one event loop: first in, first out."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_later = loop.call_later
        self._waiting: deque[Callable[[], None]] = deque()
        # Also during the pause after a turn, when nothing waits.
        self._is_scheduled = False

    def add(self, parse_slice: Callable[[], None]) -> None:
        self._waiting.append(parse_slice)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(0, self._take_turn)

    def _take_turn(self) -> None:
        if not self._waiting:
            self._is_scheduled = False
            return
        # Before a slice that raises.
        self._call_later(PAUSE_SECONDS, self._take_turn)
        end = time.perf_counter() + TURN_SECONDS
        # Those that wait by now: none has two turns in one.
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
            if time.perf_counter() > end:
                break


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    found = _turns.get(loop)
    if found is None:
        found = _turns[loop] = Turns(loop)
    return found
