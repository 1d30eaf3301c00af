"""The production server that `manage.py serve` runs: uvicorn, which drains its sockets before it shuts down."""

import asyncio
import atexit
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from messaging import broadcast_jobs
from realtime.background import run_periodically, spawn
from realtime.database import database
from realtime.db_threads import in_thread
from realtime.delivery import drain
from realtime.delivery.hub import running_hub
from realtime.outbound import receivers
from realtime.presence.writer import presence_writer
from realtime.timeline import CHECK_SECONDS, timeline_watch

from . import findings
from .websocket_protocol import SocketProtocol

logger = logging.getLogger(__name__)

# How often the database is asked whether it answers.
WATCH_SECONDS = 1.0
# How often the admin's broadcasts are looked for that a process which has ended left unfinished.
BROADCAST_SECONDS = 5.0
# For mallopt: glibc's numbers of two options, and the size from which malloc uses mmap: above the 256,000 bytes that
# uvloop reads at once. With a mapping for each read the API's p99 beside large uploads was 1.9 s, without 0.5 s.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
MMAP_THRESHOLD_BYTES = 272 * 1024
# How often memory that is free is given back to the system, and how much longer the pause is than that takes: some
# milliseconds in a thread, but up to 250 while there are ten thousands of free pieces, and who needs memory waits.
TRIM_SECONDS, TRIM_PAUSES = 10.0, 1_000
# How many listeners a socket has. Of each, libuv accepts one connection an iteration of the loop
# (https://github.com/libuv/libuv/pull/3696): with a single one, a thousand clients that came back to a busy process
# took up to 11 s instead of 3, nearly all of it in the kernel's queue.
LISTENERS = 8
# How long clients may take to answer the close frames of a drain.
CLOSE_SECONDS = 3.0
# How long HTTP requests get until they are answered 503, and how much longer what runs for them until it is cancelled.
REQUEST_SECONDS, CANCEL_SECONDS = 4, 1
# How long the timeline's last check gets, then the last batch of a broadcast, of presence, and the last pushes.
TIMELINE_SECONDS, BATCH_SECONDS, PRESENCE_SECONDS, RELAY_SECONDS = 1.0, 2.0, 4.0, 2.0
# How long all that follows the last request may take, the end of its threads included.
EXIT_SECONDS = TIMELINE_SECONDS + BATCH_SECONDS + PRESENCE_SECONDS + RELAY_SECONDS + 2.0
# `make` passes a SIGTERM on that its whole process group has received already: two within this time count as one.
SAME_SIGNAL_SECONDS = 0.3
# What is allocated after start-up is mostly sockets, which stay, and frames; neither leaves reference cycles. Requests
# do, Django's and those that their client gives up: with 500 items each their garbage grew to some 20 MB between
# collections.
GC_THRESHOLD = (10_000, 10, 5)
# How long a thread keeps the interpreter while another wants it. With eight threads at work the event loop waited up to
# 530 ms with Python's 5 ms, 240 ms with this. Beside 40 requests a second and pushes to 200 sockets, nine of ten
# requests ended within 85 ms with the former, 36 with this (medians of six runs); a lone one takes as long with both.
SWITCH_SECONDS = 0.001


def keep_little_memory() -> None:
    """Have large texts returned to the system when they are freed. Call it before any thread starts.

    By default glibc's malloc keeps them, in an arena for each thread: beside 20 sockets that didn't read 128 MB meant
    for them a process grew by 42 MB, with this by 24. (Other C libraries have other ways.)
    """
    with contextlib.suppress(AttributeError, OSError):
        # https://man7.org/linux/man-pages/man3/mallopt.3.html
        malloc_option = ctypes.CDLL(None).mallopt
        malloc_option(M_ARENA_MAX, 1)
        malloc_option(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def trim_memory() -> None:
    """Return what else is free to the system."""
    with contextlib.suppress(AttributeError, OSError):
        # https://man7.org/linux/man-pages/man3/malloc_trim.3.html. Other threads run meanwhile, and wait where they
        # need memory of the arena that is being trimmed.
        ctypes.CDLL(None).malloc_trim(0)


async def give_memory_back() -> None:
    began = time.monotonic()
    await asyncio.to_thread(trim_memory)
    await asyncio.sleep(TRIM_PAUSES * (time.monotonic() - began))


async def more_listeners(
    listeners: Iterable[asyncio.Server], create_protocol: Callable[[], asyncio.Protocol], backlog: int
) -> list[asyncio.Server]:
    """Return further listeners, of the same sockets: with these there are LISTENERS of each."""
    loop = asyncio.get_running_loop()
    listening = [one for listener in listeners for one in listener.sockets]
    copies = [socket.socket(fileno=os.dup(one.fileno())) for one in listening * (LISTENERS - 1)]
    return [await loop.create_server(create_protocol, sock=copy, backlog=backlog) for copy in copies]


async def take_up_broadcasts() -> None:
    await in_thread(broadcast_jobs.start_due)


class Server(uvicorn.Server):
    """A first SIGTERM or SIGINT drains, and the process ends with code 0. A second one ends it at once."""

    def __init__(self, config: uvicorn.Config, predrain_seconds: float, drain_seconds: float) -> None:
        super().__init__(config)
        keep_little_memory()
        self.predrain_seconds, self.drain_seconds = predrain_seconds, drain_seconds
        self._signalled_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await findings.report()
        await super().startup(sockets=sockets)
        if self.started:
            create_protocol = partial(
                cast("Any", self.config.http_protocol_class),
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            self.servers += await more_listeners(self.servers, create_protocol, self.config.backlog)
            # What has been allocated by here is permanent: collections needn't look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLD)
            sys.setswitchinterval(SWITCH_SECONDS)
            spawn(run_periodically(lambda: TRIM_SECONDS, give_memory_back))
            spawn(run_periodically(lambda: WATCH_SECONDS, database.watch, at_once=True))
            spawn(run_periodically(lambda: CHECK_SECONDS, timeline_watch.watch, at_once=True))
            spawn(run_periodically(lambda: BROADCAST_SECONDS, take_up_broadcasts, at_once=True))
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            sys.stdout.write(f"Doorbell listens at http://{host}:{port}/  (Ctrl-C ends it)\n")
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not drain.draining:
            self._signalled_at = time.monotonic()
            drain.draining = self.should_exit = True
        elif time.monotonic() - self._signalled_at > SAME_SIGNAL_SECONDS:
            signal.signal(sig, signal.SIG_DFL)
            os.kill(os.getpid(), sig)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logger.info(
            "draining: %d sockets, closed over up to %g s after %g s; /readyz answers 503",
            len(self._sockets()),
            self.drain_seconds,
            self.predrain_seconds,
        )
        await self._drain()
        giving_up = asyncio.get_running_loop().call_later(REQUEST_SECONDS, drain.give_up_requests)
        await super().shutdown(sockets=sockets)
        giving_up.cancel()
        _exit_within(EXIT_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(timeline_watch.watch(), TIMELINE_SECONDS)
        await asyncio.to_thread(broadcast_jobs.stop, BATCH_SECONDS)
        await asyncio.to_thread(presence_writer.stop, PRESENCE_SECONDS)
        await asyncio.to_thread(receivers.flush, RELAY_SECONDS)
        logger.info("ended after %.1f s", time.monotonic() - self._signalled_at)

    async def _drain(self) -> None:
        # `drain.draining` is set: readyz answers 503 and handshakes are refused. A load balancer gets time to notice.
        await _wait_for(lambda: not self.server_state.connections, self.predrain_seconds)
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, SocketProtocol):
                connection.shutdown()
        if self._sockets():
            await drain.close_sockets(running_hub(), self.drain_seconds)
            await _wait_for(lambda: not self._sockets(), CLOSE_SECONDS)
            for unclosed in self._sockets():
                unclosed.abort()

    def _sockets(self) -> list[SocketProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, SocketProtocol)]


def _exit_within(seconds: float) -> None:
    """End the process after this time if a thread still runs: asyncio and Python wait for theirs without limit."""
    ended = threading.Event()
    # What is registered for the exit runs when Python has waited for all threads.
    atexit.register(ended.set)

    def warn() -> None:
        logger.warning("threads that still run are given up: a statement may be waiting for a lock")
        logging.shutdown()

    def run() -> None:
        if not ended.wait(seconds):
            # In a thread of its own: one that still runs may hold a log handler's lock.
            warning = threading.Thread(target=warn, daemon=True)
            warning.start()
            warning.join(1)
            os._exit(0)

    threading.Thread(target=run, name="exit", daemon=True).start()


async def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds, or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.05)
