"""From commit to the channel layer: one thread a process assigns revisions and publishes the frames.

It has two queues: users whose pending notifications need a revision, and messages to publish. Assigning fills the
second through the signal `revisions_assigned`, as any other assignment in this process does. A save costs its caller no
push at all, and load makes the batches bigger instead of slower. Nothing here is needed for a notification to arrive:
what is lost here, the hubs' sweeps find in the database.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from messaging import sequencing
from messaging.orm import tables
from messaging.sequencing import Step
from realtime import counters, db_threads, request_id
from realtime.background import keep_thread
from realtime.default_layer import get_channel_layer

from .envelopes import GroupMessage
from .message_queue import MessageQueue, size_of
from .publishers import Publisher, Unsent, publisher_for
from .user_queue import UserQueue

logger = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = {"postgresql": 0.005, "sqlite": 0.010}
# Users whose revisions are assigned before what is there is published: the first frames of a broadcast to thousands
# leave while the last revisions are still to be assigned.
USERS_PER_BATCH = 500
# Rows of a step, for each user. Of few users it is one revision: the large rows of one would delay the others' pushes.
ROWS_PER_USER = 2
# Of messages that are published together.
BYTES_PER_BATCH = 1024 * 1024
MAX_LATE_BYTES = 16 * 1024 * 1024
# How long the thread sits idle before it gives its database connection back, and how often late messages are tried.
IDLE_SECONDS = 1.0
EXIT_SECONDS = 2.0


class Relay:
    """The thread, started on first use, and its queues.

    `dropped` counts the messages that didn't reach the layer when they should have. While Redis is away, the last
    message of each kind and group is kept, and published when Redis is back: it shows the hubs, which may have noticed
    no outage, that something is missing.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._users = UserQueue()
        self._messages = MessageQueue()
        self._late: dict[tuple[Any, ...], GroupMessage] = {}
        self._late_bytes = 0
        self._late_tried_at = 0.0
        self._failing = False
        self._busy = False
        # The thread may hold a database connection.
        self._connected = False
        self._ending = False
        self._thread: threading.Thread | None = None

    @property
    def queued_users(self) -> int:
        return len(self._users)

    @property
    def queued_messages(self) -> int:
        return len(self._messages)

    def assign(self, user_ids: Collection[Any]) -> None:
        """Have revisions assigned to these users' pending notifications. Takes microseconds; never fails."""
        with self._changed:
            self._users.add(user_ids)
            self._wake()

    def publish(self, messages: Iterable[GroupMessage]) -> None:
        """Have messages published, in order. Waits for nothing."""
        # Before the lock: a generator encodes, which takes time and may fail.
        messages = list(messages)
        with self._changed:
            self.dropped += sum(map(self._messages.append, messages))
            self._wake()

    def flush(self, seconds: float) -> bool:
        """Wait until both queues are empty. Returns whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._busy or self._has_work()), seconds)

    def wait_for_room(self, messages: int, seconds: float) -> bool:
        """Wait until at most so many messages are queued. Returns whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._messages) <= messages, seconds)

    def end(self, seconds: float) -> bool:
        """Flush, and have the thread give its database connection back: the process ends. Returns whether it did."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not (self._connected or self._has_work()), seconds)

    def _has_work(self) -> bool:
        return bool(self._users or self._messages)

    def _wake(self) -> None:
        self._thread = keep_thread(self._thread, "relay", self._run)
        self._changed.notify_all()

    # --- The thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        publisher = _ConfiguredPublisher()
        next_at = 0.0
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._ending or self._has_work(), IDLE_SECONDS)
                if not self._has_work():
                    # Nothing to do for a while: give the database connection back.
                    connections.close_all()
                    self._connected = False
                    self._changed.notify_all()
                    if self._ending or not self._late:
                        self._changed.wait_for(self._has_work)
                if not self._messages and (pause := self._users.pause):
                    self._changed.wait(pause)
                self._busy = self._connected = True
            self._publish_late(publisher)
            # (A sleep of no time yields the lock, too, and waits for it as long as another thread keeps it.)
            if (early := next_at - time.perf_counter()) > 0 and not self._ending:
                time.sleep(early)
            began = time.perf_counter()
            is_lone = self._batch(publisher)
            ended = time.perf_counter()
            # A pause three times as long as a short batch leaves three quarters of the global interpreter lock to the
            # threads that save. It runs from the batch's end: what comes after it starts at once. A lone message, of a
            # notification that was inserted with its revision, costs them little.
            longest = MAX_PAUSE_SECONDS.get(connection.vendor, 0.005)
            next_at = 0.0 if is_lone else ended + min(3 * (ended - began), longest)

    def _batch(self, publisher: "_ConfiguredPublisher") -> bool:
        """Assign one step, and publish. Returns whether nothing was assigned, and at most one message published."""
        with self._changed:
            user_ids = self._users.take(USERS_PER_BATCH)
        if user_ids:
            self._assign(user_ids)
        with self._changed:
            messages = self._messages.take(BYTES_PER_BATCH)
        unsent = self._try(publisher, messages)
        self.dropped += len(unsent)
        self._keep(unsent)
        return not user_ids and len(messages) <= 1

    def _assign(self, user_ids: Collection[Any]) -> None:
        step = self._assign_step(user_ids)
        with self._changed:
            given_up = self._users.settle(user_ids, step)
        if given_up:
            logger.warning(
                "inbox locked by another transaction; notifications of %d users stay pending until the sweep",
                len(given_up),
            )

    def _assign_step(self, user_ids: Collection[Any]) -> Step:
        rows = max(sequencing.ROWS_PER_REVISION, ROWS_PER_USER * len(user_ids))
        # The receiver of `revisions_assigned` calls publish() of this relay.
        try:
            try:
                return sequencing.assign_step(user_ids, rows=rows)
            except (OperationalError, InterfaceError):
                close_old_connections()
                connections.close_all()
                return sequencing.assign_step(user_ids, rows=rows)
        except (OperationalError, InterfaceError) as error:
            connections.close_all()
            logger.warning(
                "%s; pending notifications of %d users wait for the sweep: %r",
                tables.what_failed(error),
                len(user_ids),
                error,
            )
        except Exception:
            connections.close_all()
            logger.exception(
                "could not assign revisions; pending notifications of %d users wait for the sweep",
                len(user_ids),
            )
        return Step([], [], [], [])

    def _try(
        self, publisher: "_ConfiguredPublisher", messages: Collection[GroupMessage]
    ) -> Collection[GroupMessage]:
        """Publish. Returns what may be published later. One log line when an outage begins, and one when it ends."""
        if not messages:
            return ()
        try:
            publisher.publish(messages)
        except Exception as error:
            counters.publish_failures.inc()
            if not self._failing:
                self._failing = True
                logger.warning(
                    "channel layer unavailable; deliveries fall back to the periodic sweep: %r", error
                )
            if isinstance(error, Unsent):
                return error.messages
            self.dropped += len(messages)
            return ()
        if logger.isEnabledFor(logging.DEBUG):
            _log_published(messages)
        if self._failing and not self._late:
            self._failing = False
            logger.warning("channel layer available again; %d messages were dropped so far", self.dropped)
        return ()

    def _keep(self, unsent: Collection[GroupMessage]) -> None:
        for group, message in unsent:
            # (Announcements to other users have the same group, and replace none to these.)
            users = tuple(message["users"]) if "numbers" in message else None
            key = group, message.get("type"), message.get("connection"), users
            kept, known = GroupMessage(group, message), self._late.get(key)
            more = size_of(kept) - (size_of(known) if known else 0)
            if self._late_bytes + more <= MAX_LATE_BYTES:
                self._late[key] = kept
                self._late_bytes += more

    def _publish_late(self, publisher: "_ConfiguredPublisher") -> None:
        if self._late and time.monotonic() - self._late_tried_at > IDLE_SECONDS / 2:
            self._late_tried_at = time.monotonic()
            late, self._late, self._late_bytes = self._late, {}, 0
            self._keep(self._try(publisher, late.values()))


def _log_published(messages: Iterable[GroupMessage]) -> None:
    for _, message in messages:
        users, numbers = message.get("users", ()), message.get("numbers", ())
        revisions = [(user, revision) for user, (revision, *_) in zip(users, numbers, strict=False)]
        if "revision" in message:
            revisions.append((message["user"], message["revision"]))
        with request_id.bound(message.get("request")):
            for user, revision in revisions:
                # Not the message itself: it has the frame, and a formatter may write all that it is given.
                named = {"user": user, "revision": revision}
                logger.debug("published: user=%(user)s revision=%(revision)s", named)


class _ConfiguredPublisher:
    """The publisher that fits the configured layer."""

    def __init__(self) -> None:
        self._layer: object = None
        self._publisher: Publisher | None = None

    def publish(self, messages: Collection[GroupMessage]) -> None:
        layer = get_channel_layer()
        if self._publisher is None or self._layer is not layer:
            self._layer, self._publisher = layer, publisher_for(layer)
        self._publisher.publish(list(messages))


relay = Relay()
# A fork has only the thread that forked: the child begins with a relay and database connections of its own.
os.register_at_fork(after_in_child=db_threads.begin_after_fork)
os.register_at_fork(after_in_child=relay._begin)


@atexit.register
def _finish() -> None:
    if relay._thread is not None and relay._thread.is_alive() and not relay.end(EXIT_SECONDS):
        logger.warning("the process ends before all messages were published; they wait for the sweep")
