"""Background tasks: referenced until they are done, and their failures are logged. And the event loops with sockets."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

logger = logging.getLogger(__name__)

# The loops that this process's sockets live on. Set by the hub.
server_loops: set[asyncio.AbstractEventLoop] = set()
# The loop itself holds tasks only weakly.
_tasks: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task on the running loop and hold it until it is done."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        # A hint was lost, at most: the periodic sweeps make up for it.
        logger.warning("background task failed: %s: %r", task.get_coro(), error)


async def run_periodically(
    seconds: Callable[[], float], work: Callable[[], Coroutine[Any, Any, None]], *, at_once: bool = False
) -> None:
    """Run `work` again and again, without end, `seconds()` from start to start. A failure is logged."""
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        # `seconds` is asked every second: when the layer degrades, the next sweep comes sooner than was planned.
        while not at_once and (left := began + seconds() - now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 1))
        at_once = False
        try:
            await work()
        except Exception as error:
            # The database is away, say: that closes no socket.
            logger.warning("periodic task %s failed; it runs again: %r", work.__qualname__, error)


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are done."""
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        # Again and again: redis-py loses a cancellation that comes while it connects.
        await asyncio.wait(waiting, timeout=0.1)
