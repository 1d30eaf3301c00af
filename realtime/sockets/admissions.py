"""Authentication of handshakes: those that wait are looked up together, in one call of a database thread.

A lone one waits for no other: what gathers while the threads are busy is the next batch.
"""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

from realtime import auth
from realtime.background import spawn
from realtime.db_threads import in_thread
from realtime.fair_queue import FairQueue

# Of the four database threads: the catch-ups of others always have one.
BATCHES = 3
HANDSHAKES_PER_BATCH = 50
# How long authentication may take, with the wait for a place.
SECONDS = 10.0

Answer = auth.Login | Exception | None
Waiting = tuple[auth.Handshake, asyncio.Future[Answer]]


class Admissions:
    """Of one event loop. By addresses in rotation: one that opens hundreds at once delays mostly its own."""

    def __init__(self) -> None:
        self._places = FairQueue(BATCHES * HANDSHAKES_PER_BATCH)
        self._waiting: deque[Waiting] = deque()
        self._running = 0

    async def login(self, handshake: auth.Handshake, address: str) -> auth.Login | None:
        """Return the login behind a handshake. Raises BadOrigin, TimeoutError, and what the database raises."""
        async with asyncio.timeout(SECONDS), self._places.place(address):
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting.append((handshake, answer))
            if self._running < BATCHES:
                self._running += 1
                spawn(self._run())
            found = await answer
        if isinstance(found, Exception):
            raise found
        return found

    async def _run(self) -> None:
        """Authenticate what waits, batch by batch."""
        try:
            while batch := self._next_batch():
                handshakes = [handshake for handshake, _ in batch]
                try:
                    answers = await in_thread(auth.authenticate, handshakes)
                except Exception as error:
                    answers = [error] * len(batch)
                for (_, waiting), answer in zip(batch, answers, strict=True):
                    if not waiting.done():
                        waiting.set_result(answer)
        finally:
            self._running -= 1

    def _next_batch(self) -> list[Waiting]:
        """Take those whose client still waits: a ticket isn't used up for one that has been given up."""
        batch: list[Waiting] = []
        while self._waiting and len(batch) < HANDSHAKES_PER_BATCH:
            handshake, waiting = self._waiting.popleft()
            if not waiting.done():
                batch.append((handshake, waiting))
        return batch


_admissions: WeakKeyDictionary[asyncio.AbstractEventLoop, Admissions] = WeakKeyDictionary()


def running_admissions() -> Admissions:
    """Return those of the running event loop."""
    return _admissions.setdefault(asyncio.get_running_loop(), Admissions())
