"""From commit to the channel layer: one plain thread a process stamps what was touched and sends the frames.

A save costs its caller no push at all, and load makes the batches bigger instead of slower. Nothing here is needed
for a notification to arrive: what is lost here, the hubs' sweeps find in the database.
"""

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable

from channels.layers import get_channel_layer
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from messaging import notifications

from .senders import Message, Sender, sender

logger = logging.getLogger(__name__)

LONGEST_GATHERING = {"postgresql": 0.005, "sqlite": 0.010}
MOST_WAITING = 10_000
EXIT_SECONDS = 2.0


class Relay:
    """The thread, started on first use, and what waits for it."""

    def __init__(self) -> None:
        self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._waiting = threading.Condition()
        self._touched: set[int] = set()
        self._messages: deque[Message] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None

    def touch(self, user_ids: Collection[int]) -> None:
        """Have these users' pending notifications numbered and sent. Takes microseconds; never fails."""
        with self._waiting:
            self._touched.update(user_ids)
            self._wake()

    def send(self, messages: Iterable[Message]) -> None:
        """Have (group, message) pairs sent, in order. Takes microseconds; never fails."""
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
                if not self._waiting.wait_for(lambda: self._touched or self._messages, timeout=1):
                    # Nothing to do for a while: give the database connection back.
                    connections.close_all()
                    self._waiting.wait_for(lambda: self._touched or self._messages)
                self._busy = True
            # Only after a batch of several: a lone event doesn't wait.
            time.sleep(gather)
            began = time.monotonic()
            events = self._batch(channel)
            longest = LONGEST_GATHERING.get(connection.vendor, 0.005)
            gather = min(time.monotonic() - began, longest) if events > 1 else 0.0

    def _batch(self, channel: "_Channel") -> int:
        with self._waiting:
            touched, self._touched = self._touched, set()
        if touched:
            self._stamp(touched)
        with self._waiting:
            messages, self._messages = self._messages, deque()
        try:
            channel.send(messages)
        except Exception as error:
            self.dropped += len(messages)
            logger.warning("%d pushes wait for the sweep: the channel layer failed: %s", len(messages), error)
        return max(len(touched), len(messages))

    def _stamp(self, touched: set[int]) -> None:
        # stamp() announces what it dealt, and the receiver of that calls send() of this relay.
        try:
            try:
                notifications.stamp(touched)
            except (OperationalError, InterfaceError):
                close_old_connections()
                connections.close_all()
                notifications.stamp(touched)
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
# A fork has only the thread that forked: the child begins with a relay of its own.
os.register_at_fork(after_in_child=relay._begin)


@atexit.register
def _finish() -> None:
    if relay._thread is not None and not relay.flush(EXIT_SECONDS):
        logger.warning("some pushes wait for the sweep: the process ends")
