"""From commit to the channel layer: one thread a process assigns revisions and publishes the frames.

It has two queues: users whose pending notifications need a revision, and messages to publish. Assigning fills the
second through the signal `revisions_assigned`, as any other assignment in this process does. A save costs its caller no
push at all, and load makes the batches bigger instead of slower. Nothing here is needed for a notification to arrive:
what is lost here, the hubs' sweeps find in the database.
"""

import atexit
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from channels.layers import get_channel_layer
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from messaging import notifications
from realtime import db_threads

from .envelopes import GroupMessage
from .publishers import Publisher, Unsent, publisher_for

logger = logging.getLogger(__name__)

MAX_GATHERING_SECONDS = {"postgresql": 0.005, "sqlite": 0.010}
# Users whose revisions are assigned before what is there is published: the first frames of a broadcast to thousands
# leave while the last revisions are still to be assigned.
USERS_PER_BATCH = 500
MAX_QUEUED = 10_000
MAX_LATE = 10_000
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
        # A dict for its order: first in, first out.
        self._users: dict[int, None] = {}
        # Calls of `assign` since the last batch: several changes of one user are several events for the gathering.
        self._assign_calls = 0
        self._messages: deque[GroupMessage] = deque()
        self._late: dict[tuple[Any, ...], GroupMessage] = {}
        self._late_tried_at = 0.0
        self._failing = False
        self._busy = False
        self._thread: threading.Thread | None = None

    @property
    def queued_users(self) -> int:
        return len(self._users)

    @property
    def queued_messages(self) -> int:
        return len(self._messages)

    def assign(self, user_ids: Collection[int]) -> None:
        """Have revisions assigned to these users' pending notifications. Takes microseconds; never fails."""
        with self._changed:
            self._users.update(dict.fromkeys(user_ids))
            self._assign_calls += 1
            self._wake()

    def publish(self, messages: Iterable[GroupMessage]) -> None:
        """Have messages published, in order. Waits for nothing."""
        # Before the lock: a generator encodes, which takes time and may fail.
        messages = list(messages)
        with self._changed:
            self._messages.extend(messages)
            while len(self._messages) > MAX_QUEUED:
                self._messages.popleft()
                self.dropped += 1
            self._wake()

    def flush(self, seconds: float) -> bool:
        """Wait until both queues are empty. Returns whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._busy or self._has_work()), seconds)

    def _has_work(self) -> bool:
        return bool(self._users or self._messages)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    # --- The thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        publisher = _ConfiguredPublisher()
        gather = 0.0
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                if not self._changed.wait_for(self._has_work, IDLE_SECONDS):
                    # Nothing to do for a while: give the database connection back.
                    connections.close_all()
                    if not self._late:
                        self._changed.wait_for(self._has_work)
                self._busy = True
            self._publish_late(publisher)
            # Only after a batch of several: a lone event doesn't wait. Twice as long as a batch took: two thirds of the
            # interpreter's lock are left to the threads that save.
            time.sleep(gather)
            began = time.monotonic()
            events = self._batch(publisher)
            longest = MAX_GATHERING_SECONDS.get(connection.vendor, 0.005)
            gather = min(2 * (time.monotonic() - began), longest) if events > 1 else 0.0

    def _batch(self, publisher: "_ConfiguredPublisher") -> int:
        """Work off what is queued. Returns how many events that was."""
        with self._changed:
            user_ids = list(itertools.islice(self._users, USERS_PER_BATCH))
            for user_id in user_ids:
                del self._users[user_id]
            calls, self._assign_calls = self._assign_calls, 0
        if user_ids:
            self._assign(user_ids)
        with self._changed:
            messages, self._messages = self._messages, deque()
        unsent = self._try(publisher, messages)
        self.dropped += len(unsent)
        self._keep(unsent)
        return max(calls, len(user_ids), len(messages))

    def _assign(self, user_ids: Collection[int]) -> None:
        # The receiver of `revisions_assigned` calls publish() of this relay.
        try:
            try:
                notifications.assign_revisions(user_ids)
            except (OperationalError, InterfaceError):
                close_old_connections()
                connections.close_all()
                notifications.assign_revisions(user_ids)
        except (OperationalError, InterfaceError) as error:
            connections.close_all()
            logger.warning(
                "database unavailable; pending notifications of %d users wait for the sweep: %r",
                len(user_ids),
                error,
            )
        except Exception:
            connections.close_all()
            logger.exception(
                "could not assign revisions; pending notifications of %d users wait for the sweep",
                len(user_ids),
            )

    def _try(
        self, publisher: "_ConfiguredPublisher", messages: Collection[GroupMessage]
    ) -> Collection[GroupMessage]:
        """Publish. Returns what may be published later. One log line when an outage begins, and one when it ends."""
        if not messages:
            return ()
        try:
            publisher.publish(messages)
        except Exception as error:
            if not self._failing:
                self._failing = True
                logger.warning(
                    "channel layer unavailable; deliveries fall back to the periodic sweep: %r", error
                )
            if isinstance(error, Unsent):
                return error.messages
            self.dropped += len(messages)
            return ()
        if self._failing and not self._late:
            self._failing = False
            logger.warning("channel layer available again; %d messages were dropped so far", self.dropped)
        return ()

    def _keep(self, unsent: Collection[GroupMessage]) -> None:
        for group, message in unsent:
            key = group, message.get("type"), message.get("connection")
            if key in self._late or len(self._late) < MAX_LATE:
                self._late[key] = GroupMessage(group, message)

    def _publish_late(self, publisher: "_ConfiguredPublisher") -> None:
        if self._late and time.monotonic() - self._late_tried_at > IDLE_SECONDS / 2:
            self._late_tried_at = time.monotonic()
            late, self._late = self._late, {}
            self._keep(self._try(publisher, late.values()))


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
    if relay._thread is not None and not relay.flush(EXIT_SECONDS):
        logger.warning("the process ends before all messages were published; they wait for the sweep")
