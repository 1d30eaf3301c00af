"""Authentication of handshakes: those that wait are looked up together, in one call of a database thread.

A lone one waits for no other: what gathers while a batch runs is the next one. Where a batch takes long, since the
project's login asks another server say, further ones run beside it.
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
# How long a handshake waits until another thread takes what waits. When all three were started as soon as anything
# waited, a batch of a storm held 2 handshakes instead of 6, and each took a fourth more of the server's CPU and half
# more of PostgreSQL's.
OVERDUE_SECONDS = 0.1
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
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Answer] = loop.create_future()
            self._waiting.append((handshake, answer))
            if not self._running:
                self._start()
            overdue = loop.call_later(OVERDUE_SECONDS, self._start)
            try:
                found = await answer
            finally:
                overdue.cancel()
        if isinstance(found, Exception):
            raise found
        return found

    def _start(self) -> None:
        """Have one more thread authenticate what waits, until nothing does."""
        if self._waiting and self._running < BATCHES:
            self._running += 1
            spawn(self._run())

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
