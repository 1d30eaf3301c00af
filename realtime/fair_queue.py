"""A semaphore with fair queueing, for an event loop: keys are served in rotation, so a flood delays its own key.

Keys that a client can invent have a group that it can't: groups are served in rotation, and in each its keys.
For threads there is messaging/slots.py.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator


class FairQueue:
    """First in, first out within one key. `per_key`: how many of the places one key may hold."""

    def __init__(self, places: int, per_key: int | None = None) -> None:
        self._free, self._per_key = places, per_key or places
        self._running: Counter[object] = Counter()
        # By group and key.
        self._waiting: OrderedDict[object, OrderedDict[object, deque[asyncio.Future[None]]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def place(self, key: object) -> AsyncIterator[None]:
        if not self.take(key):
            await self.wait(key)
        try:
            yield
        finally:
            self.give_back(key)

    def take(self, key: object) -> bool:
        """Take a place if there is one, without waiting. Returns whether there was."""
        if not self._free or self._running[key] >= self._per_key:
            return False
        self._free -= 1
        self._running[key] += 1
        return True

    async def wait(self, key: object, group: object = None) -> None:
        """Wait for a place. It is taken when this returns, and not when this is cancelled."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, OrderedDict()).setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(key)
            raise

    def give_back(self, key: object) -> None:
        self._free += 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._free and (found := self._next()):
            group, key = found
            keys = self._waiting[group]
            turns = keys[key]
            turn = turns.popleft()
            if not turns:
                del keys[key]
                if not keys:
                    del self._waiting[group]
            # A turn that was given up is none.
            if not turn.done():
                self.take(key)
                turn.set_result(None)
                if turns:
                    keys.move_to_end(key)
                if keys:
                    self._waiting.move_to_end(group)

    def _next(self) -> tuple[object, object] | None:
        # Those skipped have all that one key may have: there are few.
        for group, keys in self._waiting.items():
            for key in keys:
                if self._running[key] < self._per_key:
                    return group, key
        return None
