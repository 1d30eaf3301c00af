"""A user's connections in this process, and the frames pushed to them, put in order."""

import asyncio
from collections.abc import Callable

from .connection import Connection

MOST_KEPT_FRAMES = 256
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
        self._gap: asyncio.TimerHandle | None = None

    def push(self, revision: int, unread_count: int, frame: str, fall_behind: FallBehind) -> None:
        """Take a frame from the layer: it may come twice, late, early or never."""
        self._kept[revision] = frame, unread_count
        if len(self._kept) > MOST_KEPT_FRAMES:
            del self._kept[min(self._kept)]
        self.flush(fall_behind)

    def flush(self, fall_behind: FallBehind) -> None:
        """Send the kept frames that are next, forget those nobody needs, and wait a little for a missing one."""
        gap = False
        for connection in list(self.connections):
            if connection.live:
                self._send_next(connection)
                gap = gap or self._misses(connection)
        if not self.connections:
            self._kept.clear()
        elif all(connection.live for connection in self.connections):
            lowest = min(connection.cursor for connection in self.connections)
            for revision in [revision for revision in self._kept if revision <= lowest]:
                del self._kept[revision]
        if gap and self._gap is None:
            loop = asyncio.get_running_loop()
            self._gap = loop.call_later(GAP_SECONDS, self._give_up, fall_behind)

    def _give_up(self, fall_behind: FallBehind) -> None:
        """The missing frame didn't come: whoever waits for it reads it, and what came after it, from the database.

        Were the frames kept, one of a history that was replaced since would be waited for again and again.
        """
        self._gap = None
        for connection in self.connections:
            if connection.live and self._misses(connection):
                fall_behind(connection)
        self._kept.clear()

    def _send_next(self, connection: Connection) -> None:
        while (kept := self._kept.get(connection.cursor + 1)) is not None:
            frame, unread_count = kept
            connection.send(frame, (connection.cursor + 1, unread_count))
            if not connection.live or connection.closing:
                # It overflowed, or is no more.
                return

    def _misses(self, connection: Connection) -> bool:
        return bool(self._kept) and max(self._kept) > connection.cursor
