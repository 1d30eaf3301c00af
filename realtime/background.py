"""Background tasks and threads: none ends unnoticed, endless ones are restarted. And the event loops with sockets."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from realtime import counters

logger = logging.getLogger(__name__)

# The pause before an endless thread or task that failed is restarted.
RESTART_SECONDS = 1.0

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


def keep_thread(
    thread: threading.Thread | None, name: str, run: Callable[[], None]
) -> threading.Thread | None:
    """Return this endless thread if it lives, else a new one. None: no thread can be started now."""
    if thread is not None:
        if thread.is_alive():
            return thread
        _note_restart(name, "it was ended from outside")
    fresh = threading.Thread(target=_run_again, args=(name, run), name=name, daemon=True)
    try:
        fresh.start()
    except RuntimeError as error:
        # Too many threads, or the interpreter ends.
        logger.warning(
            "thread %s not started; its work waits for the next try, or the sweep: %s", name, error
        )
        return None
    return fresh


def _run_again(name: str, run: Callable[[], None]) -> None:
    while True:
        try:
            return run()
        except Exception as error:
            _note_restart(name, error)
            time.sleep(RESTART_SECONDS)


async def run_again(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an endless coroutine, and restart it when it fails."""
    while True:
        try:
            return await run()
        except Exception as error:
            _note_restart(name, error)
            await asyncio.sleep(RESTART_SECONDS)


def _note_restart(name: str, reason: object) -> None:
    counters.restarts.labels(name).inc()
    error = reason if isinstance(reason, BaseException) else None
    logger.error(
        "%s failed and is started again; the sweeps deliver meanwhile: %r", name, reason, exc_info=error
    )


async def run_periodically(
    seconds: Callable[[], float], work: Callable[[], Coroutine[Any, Any, None]], *, at_once: bool = False
) -> None:
    """Run `work` again and again, without end, `seconds()` from start to start. A failure is logged."""
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        try:
            # `seconds` is asked every second: when the layer degrades, the next sweep comes sooner than was planned.
            while not at_once and (left := began + seconds() - now()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(min(left, 1))
            at_once = False
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
