"""A user's sockets in this process, and the frames pushed to them, put in order."""

import asyncio
import sys
from typing import Any

from realtime.outbound.envelopes import RevisionEnvelope

from .client_socket import ClientSocket, SyncState

MAX_KEPT_FRAMES = 256
# They are of use to a socket that is just being caught up. One that is stuck reads all of it from the database.
MAX_KEPT_BYTES = 256 * 1024
# How long a frame that came too early is kept for the one before it. Processes' pushes may overtake each other.
GAP_SECONDS = 0.1

# An enum's member and a property cost a push more than the rest of the comparison.
LIVE = SyncState.LIVE


class UserSockets:
    """Each live socket gets the frame that follows its cursor; the others' frames are kept for them."""

    def __init__(self, user_id: Any) -> None:
        self.user_id = user_id
        self.sockets: set[ClientSocket] = set()
        self.joined = False
        # Joining and leaving the group exclude each other.
        self.membership = asyncio.Lock()
        # By revision.
        self._kept: dict[int, RevisionEnvelope] = {}
        self._kept_bytes = 0
        self._gap: asyncio.TimerHandle | None = None

    def push(self, pushed: RevisionEnvelope) -> None:
        """Take a revision from the layer: it may come twice, late, early or never."""
        if not self._kept and self._is_next_for_all(pushed.revision):
            # Nearly every push. One that a socket can't take is read from the database when it can.
            for socket in list(self.sockets):
                socket.send(pushed.frame, pushed)
            return
        if pushed.revision in self._kept:
            self._drop(pushed.revision)
        self._kept[pushed.revision] = pushed
        self._kept_bytes += sys.getsizeof(pushed.frame)
        self.flush()
        # What is over the bounds is read again, if a socket needs it. The last one stays: it shows that there was more.
        while len(self._kept) > MAX_KEPT_FRAMES or (
            len(self._kept) > 1 and self._kept_bytes > MAX_KEPT_BYTES
        ):
            self._drop(min(self._kept))

    def flush(self) -> None:
        """Send the kept frames that are next, drop those no socket needs, and wait a little for a missing one."""
        if not self._kept:
            return
        newest = done = max(self._kept)
        gap = False
        for socket in list(self.sockets):
            if socket.state is LIVE:
                self._send_next(socket)
                gap = gap or newest > socket.cursor
            if socket.state is not LIVE:
                # It may still need every frame.
                done = 0
            elif socket.cursor < done:
                done = socket.cursor
        for revision in [revision for revision in self._kept if revision <= done]:
            self._drop(revision)
        if gap and self._gap is None:
            self._gap = asyncio.get_running_loop().call_later(GAP_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """The missing frame didn't come: its sockets read it, and what came after it, from the database.

        Were the frames kept, one of a history that was replaced since would be waited for again and again.
        """
        self._gap = None
        for socket in self.sockets:
            # What is just being read for one that catches up may be from before the frames that are dropped here.
            if socket.is_catching_up or (socket.state is LIVE and self._misses(socket)):
                socket.request_recovery()
        self._drop_all()

    def _send_next(self, socket: ClientSocket) -> None:
        while (pushed := self._kept.get(socket.cursor + 1)) is not None:
            socket.send(pushed.frame, pushed)
            if socket.state is not LIVE:
                # Its backlog overflowed, or it is closed.
                return

    def _is_next_for_all(self, revision: int) -> bool:
        for socket in self.sockets:  # noqa: SIM110  # a generator costs three times as much
            if socket.state is not LIVE or socket.cursor != revision - 1:
                return False
        return True

    def _misses(self, socket: ClientSocket) -> bool:
        return bool(self._kept) and max(self._kept) > socket.cursor

    def _drop(self, revision: int) -> None:
        if (pushed := self._kept.pop(revision, None)) is not None:
            self._kept_bytes -= sys.getsizeof(pushed.frame)

    def _drop_all(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
