"""A semaphore with fair queueing, for an event loop: keys are served in rotation, so a flood delays its own key.

Keys that a client can invent have a group that it can't: groups are served in rotation, and in each its keys.
For threads there is messaging/slots.py.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator

Turns = OrderedDict[asyncio.Future[None], None]


class FairQueue:
    """First in, first out within one key. `per_key`: how many of the places one key may hold."""

    def __init__(self, places: int, per_key: int | None = None) -> None:
        self._free, self._per_key = places, per_key or places
        self._running: Counter[object] = Counter()
        # By group and key.
        self._waiting: OrderedDict[object, OrderedDict[object, Turns]] = OrderedDict()

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
        self._waiting.setdefault(group, OrderedDict()).setdefault(key, OrderedDict())[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(key)
            # At once: a key may be 64 KB of cookies, and no place become free for long.
            self._remove(group, key, turn)
            raise

    def waiting(self, key: object, group: object = None) -> int:
        """Return how many wait under this key."""
        keys = self._waiting.get(group)
        return 0 if keys is None else len(keys.get(key, ()))

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
            turn = next(iter(keys[key]))
            self._remove(group, key, turn)
            # One that has been given up is still there until its task runs.
            if not turn.done():
                self.take(key)
                turn.set_result(None)
                if key in keys:
                    keys.move_to_end(key)
                if group in self._waiting:
                    self._waiting.move_to_end(group)

    def _remove(self, group: object, key: object, turn: asyncio.Future[None]) -> None:
        """Remove a turn, if it is there, and then the key and the group that have no other."""
        keys = self._waiting.get(group)
        turns = None if keys is None else keys.get(key)
        if keys is None or turns is None:
            return
        turns.pop(turn, None)
        if not turns:
            del keys[key]
        if not keys:
            del self._waiting[group]

    def _next(self) -> tuple[object, object] | None:
        # Those skipped have all that one key may have: there are few.
        for group, keys in self._waiting.items():
            for key in keys:
                if self._running[key] < self._per_key:
                    return group, key
        return None
