"""From commit to the channel layer: one plain thread a process stamps what was touched and sends the frames.

A save costs its caller no push at all, and load makes the batches bigger instead of slower. Nothing here is needed
for a notification to arrive: what is lost here, the hubs' sweeps find in the database.
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
from realtime import db

from .publishers import Message, Sender, Unsent, sender

logger = logging.getLogger(__name__)

LONGEST_GATHERING = {"postgresql": 0.005, "sqlite": 0.010}
# Of users: what the first of a broadcast are told shan't wait for the last to be numbered.
MOST_A_BATCH = 500
MOST_WAITING = 10_000
MOST_LATE = 10_000
# How long the thread sits idle before it gives its database connection back, and how often late messages are tried.
IDLE_SECONDS = 1.0
EXIT_SECONDS = 2.0


class Relay:
    """The thread, started on first use, and what waits for it.

    `dropped` counts the messages that didn't reach the layer when they should have. Of those that couldn't for a
    Redis that was away, the last of each kind and group is sent when it is back: it tells the hubs, which may have
    noticed nothing, that something is missing.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._waiting = threading.Condition()
        # A dict for its order: first come, first served.
        self._touched: dict[int, None] = {}
        # How often that was said: many changes of one user are many events, too.
        self._touches = 0
        self._messages: deque[Message] = deque()
        self._late: dict[tuple[Any, ...], Message] = {}
        self._tried_at = 0.0
        self._failing = False
        self._busy = False
        self._thread: threading.Thread | None = None

    def touch(self, user_ids: Collection[int]) -> None:
        """Have these users' pending notifications numbered and sent. Takes microseconds; never fails."""
        with self._waiting:
            self._touched.update(dict.fromkeys(user_ids))
            self._touches += 1
            self._wake()

    def send(self, messages: Iterable[Message]) -> None:
        """Have (group, message) pairs sent, in order. Waits for nothing."""
        # Before the lock: a generator encodes, which takes time and may fail.
        messages = list(messages)
        with self._waiting:
            self._messages.extend(messages)
            while len(self._messages) > MOST_WAITING:
                self._messages.popleft()
                self.dropped += 1
            self._wake()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits any more. Returns whether that was so in time."""
        with self._waiting:
            return self._waiting.wait_for(
                lambda: not (self._busy or self._touched or self._messages), seconds
            )

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
            self._thread.start()
        self._waiting.notify_all()

    def _run(self) -> None:
        channel = _Channel()
        gather = 0.0
        while True:
            with self._waiting:
                self._busy = False
                self._waiting.notify_all()
                if not self._waiting.wait_for(lambda: self._touched or self._messages, IDLE_SECONDS):
                    # Nothing to do for a while: give the database connection back.
                    connections.close_all()
                    if not self._late:
                        self._waiting.wait_for(lambda: self._touched or self._messages)
                self._busy = True
            self._send_late(channel)
            # Only after a batch of several: a lone event doesn't wait. Twice as long as a batch took: two thirds of the
            # interpreter's lock are left to whoever saves.
            time.sleep(gather)
            began = time.monotonic()
            events = self._batch(channel)
            longest = LONGEST_GATHERING.get(connection.vendor, 0.005)
            gather = min(2 * (time.monotonic() - began), longest) if events > 1 else 0.0

    def _batch(self, channel: "_Channel") -> int:
        with self._waiting:
            touched = list(itertools.islice(self._touched, MOST_A_BATCH))
            for user_id in touched:
                del self._touched[user_id]
            touches, self._touches = self._touches, 0
        if touched:
            self._stamp(touched)
        with self._waiting:
            messages, self._messages = self._messages, deque()
        unsent = self._try(channel, messages)
        self.dropped += len(unsent)
        self._keep(unsent)
        return max(touches, len(touched), len(messages))

    def _try(self, channel: "_Channel", messages: Collection[Message]) -> Collection[Message]:
        """Send; returns what may be sent later. One line in the log when that begins, and one when it is over."""
        if not messages:
            return ()
        try:
            channel.send(messages)
        except Exception as error:
            if not self._failing:
                self._failing = True
                logger.warning("pushes wait for the sweep: the channel layer failed: %s", error)
            if isinstance(error, Unsent):
                return error.messages
            self.dropped += len(messages)
            return ()
        if self._failing and not self._late:
            self._failing = False
            logger.warning("pushes leave again; %d messages were dropped so far", self.dropped)
        return ()

    def _keep(self, unsent: Collection[Message]) -> None:
        for group, message in unsent:
            key = group, message.get("type"), message.get("connection")
            if key in self._late or len(self._late) < MOST_LATE:
                self._late[key] = group, message

    def _send_late(self, channel: "_Channel") -> None:
        if self._late and time.monotonic() - self._tried_at > IDLE_SECONDS / 2:
            self._tried_at = time.monotonic()
            late, self._late = self._late, {}
            self._keep(self._try(channel, late.values()))

    def _stamp(self, touched: Collection[int]) -> None:
        # assign_revisions() announces what it assigned, and the receiver of that calls send() of this relay.
        try:
            try:
                notifications.assign_revisions(touched)
            except (OperationalError, InterfaceError):
                close_old_connections()
                connections.close_all()
                notifications.assign_revisions(touched)
        except (OperationalError, InterfaceError) as error:
            connections.close_all()
            logger.warning("pending notifications of %d users wait for the sweep: %s", len(touched), error)
        except Exception:
            connections.close_all()
            logger.exception("pending notifications of %d users wait for the sweep", len(touched))


class _Channel:
    """The sender that fits the configured layer."""

    def __init__(self) -> None:
        self._layer: object = None
        self._sender: Sender | None = None

    def send(self, messages: Collection[Message]) -> None:
        if not messages:
            return
        layer = get_channel_layer()
        if self._sender is None or self._layer is not layer:
            self._layer, self._sender = layer, sender(layer)
        self._sender.send(list(messages))


relay = Relay()
# A fork has only the thread that forked: the child begins with a relay and database connections of its own.
os.register_at_fork(after_in_child=db.begin_after_fork)
os.register_at_fork(after_in_child=relay._begin)


@atexit.register
def _finish() -> None:
    if relay._thread is not None and not relay.flush(EXIT_SECONDS):
        logger.warning("some pushes wait for the sweep: the process ends")
