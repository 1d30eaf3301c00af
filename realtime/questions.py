"""A question to something that may never answer: one thread at a time asks it, and nothing waits for it for ever."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Question(Generic[T]):
    """`ask` runs in a thread that may hang. Those who ask meanwhile share it, and the exit doesn't wait for it."""

    def __init__(self, ask: Callable[[], T], unanswered: T) -> None:
        """`unanswered`: what an answer that comes too late, or an error, counts as."""
        self._ask = ask
        self._unanswered = unanswered
        self._asking: Future[T] | None = None

    async def answer(self, seconds: float) -> T:
        """Return the answer, or what counts as one after so many seconds."""
        if self._asking is None or self._asking.done():
            self._asking = Future()
            thread = threading.Thread(target=self._run, args=(self._asking,), name="readyz", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # too many threads: the next one who asks tries again
                self._asking.set_result(self._unanswered)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._asking)), seconds)
        except TimeoutError:
            return self._unanswered

    def _run(self, result: Future[T]) -> None:
        try:
            result.set_result(self._ask())
        except Exception:  # of any kind: it wasn't answered
            result.set_result(self._unanswered)
