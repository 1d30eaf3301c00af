"""Writes this process's connects and disconnects to the database in batches, and keeps its lease.

One thread per process, with a database connection of its own; it also reaps what dead processes left. Nothing relies
on a consumer's disconnect(): it is skipped when a process is killed. The transactions are in leases.py.
"""

import asyncio
import atexit
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections

from messaging.orm import tables
from realtime import counters, protocol
from realtime.background import keep_thread
from realtime.conf import conf
from realtime.outages import Outage
from realtime.outbound import receivers

from . import leases
from .leases import Closed, Fenced, Opened
from .waiters import Waiters

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
BATCH_SIZE = 200
REAP_SECONDS = 2.0
RETRY_SECONDS = 0.5
CONNECT_WAIT_SECONDS = 0.5
# The grace period after the server closed a socket: its client reconnects, but after a backoff.
SERVER_CLOSED_GRACE_SECONDS = 20.0
SERVER_CLOSES = {
    protocol.CloseCode.SERVICE_RESTART,
    protocol.CloseCode.MAX_AGE,
    protocol.CloseCode.SLOW_CONSUMER,
    protocol.CloseCode.RATE_LIMITED,
}
EXIT_SECONDS = 2.0


class PresenceWriter:
    """The queue of this process's connects and disconnects, and the thread that writes them.

    `_changed` guards the queue (`_open`, `_events`, `_writing`) and wakes those who wait for it.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.process_id: uuid.UUID | None = None
        self._open: dict[str, Opened] = {}
        self._events: deque[Opened | Closed] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        # The batch in the current transaction.
        self._writing: list[Opened | Closed] = []
        # Those who wait for a connect to be written, by its id.
        self._waiters = Waiters()
        self._ticked = time.monotonic()
        self._renewed_at: float | None = None
        self._healthy_since: float | None = None
        self._probation = 0.0
        self._outage = Outage(
            logger,
            "presence events stay queued; %s",
            "presence events still stay queued after %.0f min; %s",
            "presence events are written again after %.0f s",
        )

    @property
    def queued(self) -> int:
        """How many connects and disconnects are not written yet."""
        return len(self._events)

    @property
    def has_several(self) -> bool:
        """Whether more than one is queued or being written."""
        return len(self._events) + len(self._writing) > 1

    @property
    def has_lease(self) -> bool:
        return self.process_id is not None

    # --- From the event loop ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, unless it runs. To be called on the event loop that serves the sockets."""
        if self._thread is None or not self._thread.is_alive():
            loop = asyncio.get_running_loop()
            self._ticked = time.monotonic()
            self._thread = keep_thread(self._thread, "presence", lambda: self._run(loop))

    def opened(self, connection_id: str, user_id: Any, login_hash: str) -> None:
        event = Opened(connection_id, user_id, login_hash)
        with self._changed:
            self._open[connection_id] = event
            self._events.append(event)
            self._changed.notify_all()

    def closed(self, connection_id: str, user_id: Any, close_code: int | None) -> None:
        """`close_code`: the server's, or None if the client closed."""
        grace = SERVER_CLOSED_GRACE_SECONDS if close_code in SERVER_CLOSES else conf.offline_grace_seconds
        with self._changed:
            self._open.pop(connection_id, None)
            self._events.append(Closed(connection_id, user_id, grace))
            self._changed.notify_all()

    def stop(self, seconds: float = EXIT_SECONDS) -> None:
        """Write what is queued, give up the lease, and end the thread."""
        with self._changed:
            thread = self._thread
            if thread is None:
                return
            self._stopping = True
            self._changed.notify_all()
        thread.join(seconds)

    def flush(self, seconds: float) -> bool:
        """Wait until every connect and disconnect is written. Returns whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._events or self._writing), seconds)

    async def written(self, connection_id: str) -> None:
        """Wait, but not for long, until a connect is written, and so visible to every process.

        Doesn't wait while many connect at once: they become visible a moment later.
        """
        with self._changed:
            queued = (*self._writing, *self._events) if len(self._events) < BATCH_SIZE else ()
            if not any(event.id == connection_id for event in queued):
                return
            waiting = self._waiters.add(connection_id)
        await self._waiters.wait(connection_id, waiting, CONNECT_WAIT_SECONDS)

    def _connecting(self) -> set[Any]:
        return {event.user_id for event in (*self._writing, *self._events) if isinstance(event, Opened)}

    # --- The thread ---------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        # One batch per round, so that the lease is renewed in time however much there is to write.
        renew_at = reap_at = 0.0
        with self._changed:
            # Of a run that failed: writing an event twice changes nothing.
            self._events.extendleft(reversed(self._writing))
            self._writing = []
        while True:
            now = time.monotonic()
            if not self._stopping:
                self._request_tick(loop)
            if now >= renew_at and self._loop_is_responsive():
                renewed = self._attempt(self._renew, "lease not renewed, retrying in 1 s")
                renew_at = now + (conf.lease_seconds / 3 if renewed else 1)
            if self.process_id is not None:
                self._write_batch(self.process_id)
            if now >= reap_at and self._may_expire_others():
                reap_at = now if self._reap() else now + REAP_SECONDS
            connections.close_all()
            with self._changed:
                if self._stopping and (not self._events or self.process_id is None):
                    break
                self._changed.wait_for(lambda: self._events or self._stopping, 0 if reap_at == now else 0.5)
                self._changed.wait_for(self._batch_is_due, GATHER_SECONDS)
        self._attempt(self._release, "lease not given up, it runs out by itself")
        connections.close_all()
        with self._changed:
            self._thread, self._stopping = None, False

    def _attempt(self, work: Callable[[], object], failure: str) -> bool:
        """Do this work. Returns whether it succeeded; if not, `failure` is logged with the error."""
        try:
            work()
        except DatabaseError as error:
            self._healthy_since = None
            connections.close_all()
            logger.warning("%s: %r", failure, error)
            return False
        except Exception:
            logger.exception("%s", failure)
            return False
        return True

    def _batch_is_due(self) -> bool:
        """A single connect is written at once, since its hello waits for that. Several are batched."""
        if self._stopping or not self._events:
            return True
        due = len(self._connecting()) == 1 or len(self._events) >= BATCH_SIZE
        return due and self.process_id is not None

    def _request_tick(self, loop: asyncio.AbstractEventLoop) -> None:
        def tick() -> None:
            self._ticked = time.monotonic()

        try:
            loop.call_soon_threadsafe(tick)
        except RuntimeError:
            # The loop is closed, and with it its sockets.
            self._stopping = True

    def _loop_is_responsive(self) -> bool:
        """A process whose event loop is blocked serves no socket, and must lose its lease."""
        return time.monotonic() - self._ticked < conf.lease_seconds

    def _may_expire_others(self) -> bool:
        """Not until renewing has worked for a lease's time, after the database failed or stalled.

        All leases have run out by then, and every process needs the chance to renew its own.
        """
        if self._healthy_since is None or self._lease_has_lapsed():
            return False
        return time.monotonic() - self._healthy_since >= self._probation

    def _lease_has_lapsed(self) -> bool:
        """Whether this process's own lease has run out: the thread may have hung in a write for longer than that."""
        return self._renewed_at is not None and time.monotonic() - self._renewed_at > conf.lease_seconds

    def _renew(self) -> None:
        try:
            if self.process_id is None:
                self.process_id = leases.register()
                leases.mark_unconnected_leaving()
            else:
                leases.renew(self.process_id)
        except Fenced:
            self._reregister()
        if self._healthy_since is None or self._lease_has_lapsed():
            self._healthy_since = time.monotonic()
            # At the first start no failure can have kept the others from renewing.
            self._probation = 0.0 if self._renewed_at is None else conf.lease_seconds
        self._renewed_at = time.monotonic()

    def _reregister(self) -> None:
        """Another process expired this one, which is alive: queue all open sockets again, under a new lease."""
        self.process_id = leases.register()
        with self._changed:
            queued = {event.id for event in self._events if isinstance(event, Opened)}
            again = [opened for opened in self._open.values() if opened.id not in queued]
            self._events.extendleft(reversed(again))
        logger.warning("lease expired by another process; registered again, with %d open sockets", len(again))

    def _release(self) -> None:
        if self.process_id is not None:
            leases.expire_processes([self.process_id], grace=SERVER_CLOSED_GRACE_SECONDS)
            self.process_id = None

    def _reap(self) -> bool:
        """Reap once. Returns whether there is more to do."""
        reaped: list[leases.Reaped] = []
        self._attempt(lambda: reaped.append(leases.reap()), "expired leases not looked for, retrying")
        return any(done.more for done in reaped)

    def _write_batch(self, process_id: uuid.UUID) -> None:
        with self._changed:
            batch = [self._events.popleft() for _ in range(min(BATCH_SIZE, len(self._events)))]
            self._writing = batch
        if not batch:
            return
        deferred = self._write(process_id, batch)
        with self._changed:
            self._writing = []
            self._events.extendleft(reversed(deferred))
            self._changed.notify_all()
            self._waiters.wake({event.id for event in batch} - {event.id for event in deferred})
        if deferred:
            time.sleep(RETRY_SECONDS)

    def _write(self, process_id: uuid.UUID, batch: list[Opened | Closed]) -> list[Opened | Closed]:
        """Write these events. Returns those that have to be written again."""
        try:
            over_limit, deferred = leases.record_batch(process_id, batch)
        except Fenced:
            self._attempt(self._reregister, "not registered again, retrying")
            return batch
        except DatabaseError as error:
            self._healthy_since = None
            connections.close_all()
            self._outage.note(f"{tables.what_failed(error)}: {error!r}")
            return batch
        self._outage.note(None)
        counters.presence_batches.inc()
        counters.presence_events.inc(len(batch) - len(deferred))
        for user_id, connection_id in over_limit:
            receivers.close_connection(user_id, str(connection_id), protocol.CloseCode.TOO_MANY_CONNECTIONS)
        return deferred


presence_writer = PresenceWriter()
os.register_at_fork(after_in_child=presence_writer._reset)
atexit.register(presence_writer.stop)
