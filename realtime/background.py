"""The event loops with sockets, and tasks that nobody awaits: held until they are done, heard of when they fail."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

logger = logging.getLogger(__name__)

# Where the sockets of this process live. Set by the hub.
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
        # A hint that came to nothing: the sweep makes up for it.
        logger.warning("%s failed: %r", task.get_coro(), error)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are done."""
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        # Again and again: redis-py loses a cancellation that comes while it connects.
        await asyncio.wait(waiting, timeout=0.1)
