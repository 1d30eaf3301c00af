"""A user's connections in this process, and the frames pushed to them, put in order."""

import asyncio
import sys
from collections.abc import Callable

from .client_socket import Connection

MOST_KEPT_FRAMES = 256
# They are of use to a connection that is just being caught up. One that is stuck reads all of it from the database.
MOST_KEPT_BYTES = 256 * 1024
# How long a frame that came too early is kept for the one before it. Processes' pushes may overtake each other.
GAP_SECONDS = 0.1

FallBehind = Callable[[Connection], None]


class Feed:
    """Each live connection gets the frame that follows its cursor; the others' frames are kept for them."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.connections: set[Connection] = set()
        self.joined = False
        # Joining and leaving of one group take turns.
        self.changing = asyncio.Lock()
        # revision: (frame, unread_count)
        self._kept: dict[int, tuple[str, int]] = {}
        self._kept_bytes = 0
        self._gap: asyncio.TimerHandle | None = None

    def push(self, revision: int, unread_count: int, frame: str, fall_behind: FallBehind) -> None:
        """Take a frame from the layer: it may come twice, late, early or never."""
        self._forget(revision)
        self._kept[revision] = frame, unread_count
        self._kept_bytes += sys.getsizeof(frame)
        self.flush(fall_behind)
        # What is too much is read again, if anybody needs it. The last one stays: it tells that there was more.
        while len(self._kept) > MOST_KEPT_FRAMES or (
            len(self._kept) > 1 and self._kept_bytes > MOST_KEPT_BYTES
        ):
            self._forget(min(self._kept))

    def flush(self, fall_behind: FallBehind) -> None:
        """Send the kept frames that are next, forget those nobody needs, and wait a little for a missing one."""
        gap = False
        for connection in list(self.connections):
            if connection.live:
                self._send_next(connection)
                gap = gap or self._misses(connection)
        if not self.connections:
            self._forget_all()
        elif all(connection.live for connection in self.connections):
            lowest = min(connection.cursor for connection in self.connections)
            for revision in [revision for revision in self._kept if revision <= lowest]:
                self._forget(revision)
        if gap and self._gap is None:
            loop = asyncio.get_running_loop()
            self._gap = loop.call_later(GAP_SECONDS, self._give_up, fall_behind)

    def _give_up(self, fall_behind: FallBehind) -> None:
        """The missing frame didn't come: whoever waits for it reads it, and what came after it, from the database.

        Were the frames kept, one of a history that was replaced since would be waited for again and again.
        """
        self._gap = None
        for connection in self.connections:
            # What is just being read for one that catches up may be from before the frames that are forgotten here.
            if connection.reading or (connection.live and self._misses(connection)):
                fall_behind(connection)
        self._forget_all()

    def _send_next(self, connection: Connection) -> None:
        while (kept := self._kept.get(connection.cursor + 1)) is not None:
            frame, unread_count = kept
            connection.send(frame, (connection.cursor + 1, unread_count))
            if not connection.live or connection.closing:
                # It overflowed, or is no more.
                return

    def _misses(self, connection: Connection) -> bool:
        return bool(self._kept) and max(self._kept) > connection.cursor

    def _forget(self, revision: int) -> None:
        if (kept := self._kept.pop(revision, None)) is not None:
            self._kept_bytes -= sys.getsizeof(kept[0])

    def _forget_all(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
