"""Tasks of event loops that wait for what another thread does, each under a key of its own."""

import asyncio
import contextlib
from collections.abc import Collection


class Waiters:
    """`add` on the loop, and `wake` on the thread, are called under the lock that guards what is waited for."""

    def __init__(self) -> None:
        self._futures: dict[str, asyncio.Future[None]] = {}

    def add(self, key: str) -> asyncio.Future[None]:
        waiting = self._futures[key] = asyncio.get_running_loop().create_future()
        return waiting

    async def wait(self, key: str, waiting: asyncio.Future[None], seconds: float) -> None:
        """Return when it is woken, or after so many seconds."""
        try:
            await asyncio.wait([waiting], timeout=seconds)
        finally:
            self._futures.pop(key, None)

    def wake(self, keys: Collection[str]) -> None:
        """Once for each event loop, however many wait on it."""
        woken = [waiting for key in keys if (waiting := self._futures.pop(key, None)) is not None]
        for loop in {waiting.get_loop() for waiting in woken}:
            # A closed loop's tasks wait no more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, [one for one in woken if one.get_loop() is loop])


def _resolve(woken: Collection["asyncio.Future[None]"]) -> None:
    for waiting in woken:
        if not waiting.done():
            waiting.set_result(None)
