"""Recovery brings the sockets that are behind up to date from the database: one for each hub, many sockets a query."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from messaging import inboxes, schemas
from messaging.contacts import online_presence_seen_by
from messaging.orm import tables
from messaging.sequencing import assign_pending
from realtime import counters, pacing, protocol
from realtime.background import spawn
from realtime.conf import conf
from realtime.db_threads import in_thread
from realtime.outages import Outage
from realtime.presence.writer import presence_writer

from .client_socket import ClientSocket
from .position import ResumeRequest
from .replay import plan
from .user_sockets import UserSockets

logger = logging.getLogger(__name__)

# With a thousand rows for each a query returns 100 MB at most. With more users it brings 5,000 sockets back no sooner.
USERS_PER_READ = 50
RETRY_SECONDS = 1.0
ASSIGN_SECONDS = 0.1
# Asks `inboxes.missed` for the inbox alone.
NO_ROWS = -1


class Recovery:
    """Attaching, `resume`, a gap, a sweep's finding and an overflowed backlog all end here, by `request_recovery`."""

    def __init__(self, users: Mapping[Any, UserSockets]) -> None:
        self._users = users
        # A dict for its order: first in, first out.
        self._queue: dict[ClientSocket, None] = {}
        self._wake = asyncio.Event()
        # How many are still to be read one user at a time, after a batch that failed as a whole.
        self._one_by_one = 0
        self._outage = Outage(
            logger,
            "sockets wait for their catch-up; %s",
            "sockets still wait for their catch-up after %.0f min; %s",
            "sockets catch up again after %.0f s",
        )

    def enqueue(self, socket: ClientSocket) -> None:
        """Read this socket's inbox when its turn has come. Called by ClientSocket.request_recovery alone."""
        delay = pacing.replayed_bytes.wait(socket.user_id)
        if delay:
            # It stays BEHIND meanwhile, or is closed.
            asyncio.get_running_loop().call_later(delay, self._enqueue_now, socket)
        else:
            self._enqueue_now(socket)

    def _enqueue_now(self, socket: ClientSocket) -> None:
        self._queue[socket] = None
        self._wake.set()

    def forget(self, socket: ClientSocket) -> None:
        self._queue.pop(socket, None)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = self._next_batch()
                if not batch:
                    continue
                try:
                    await self._catch_up(batch)
                except Exception as error:
                    if not tables.is_unavailable(error):
                        self._isolate(batch, error)
                        continue
                    self._outage.note(f"{tables.what_failed(error)}: {error!r}")
                    for socket in batch:
                        socket.restart_catch_up()
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._outage.note(None)

    def _isolate(self, batch: Collection[ClientSocket], error: Exception) -> None:
        """One user's inbox can't be read or encoded. It delays no other: each user is read alone."""
        if len({socket.user_id for socket in batch}) > 1:
            for socket in batch:
                socket.restart_catch_up()
            self._one_by_one = len(self._queue)
        else:
            for socket in batch:
                self._fail(socket, error)

    def _fail(self, socket: ClientSocket, error: Exception) -> None:
        logger.error(
            "catch-up failed; the socket is closed with 1011: user %(user)s, connection %(connection)s",
            {"user": socket.user_id, "connection": socket.id},
            exc_info=error,
        )
        socket.close(protocol.CloseCode.INTERNAL_ERROR, "internal error")

    def _next_batch(self) -> list[ClientSocket]:
        taken: list[ClientSocket] = []
        users: set[Any] = set()
        for socket in self._queue:
            users.add(socket.user_id)
            if len(users) > (1 if self._one_by_one else USERS_PER_READ):
                break
            taken.append(socket)
        for socket in taken:
            del self._queue[socket]
        self._one_by_one = max(0, self._one_by_one - len(taken))
        return [socket for socket in taken if socket.begin_catch_up()]

    async def _catch_up(self, batch: Collection[ClientSocket]) -> None:
        since = _lowest_revisions(batch)
        without_hello = {socket.user_id for socket in batch if not socket.has_hello}
        missed, online = await in_thread(_read, since, without_hello)
        for socket in batch:
            inbox = missed.get(socket.user_id)
            if not _restart_if_outdated(socket):
                continue
            if inbox is None:
                # The user is gone, and the inbox with them.
                socket.close(protocol.CloseCode.SIGNED_OUT)
            elif inbox.too_many and _first_needed(socket) > since[socket.user_id]:
                # Another tab's rows filled the page: this one is read alone.
                socket.restart_catch_up()
            elif socket.has_hello:
                try:
                    self._catch_up_socket(socket, inbox)
                except Exception as error:
                    self._fail(socket, error)
            else:
                spawn(self._greet(socket, inbox, online.get(socket.user_id, [])))

    async def _greet(
        self, socket: ClientSocket, inbox: inboxes.Missed, online: list[schemas.Presence]
    ) -> None:
        """Send the hello, once this connect is written: by then the user is online for every process.

        What was read before stays right: what follows it is held back for the socket.
        """
        try:
            await presence_writer.written(socket.id)
            if _restart_if_outdated(socket):
                self._catch_up_socket(socket, inbox, online)
        except Exception as error:
            self._fail(socket, error)

    def _catch_up_socket(
        self, socket: ClientSocket, inbox: inboxes.Missed, online: Iterable[schemas.Presence] = ()
    ) -> None:
        request = socket.request
        if not socket.has_hello:
            socket.reposition(inbox.revision, inbox.epoch)
        planned = plan(inbox, request or ResumeRequest(socket.cursor, socket.epoch))
        resumed = request is not None and isinstance(planned.end, protocol.SyncedFrame)
        held = request.revision if request is not None and resumed else None
        socket.reposition(socket.cursor if held is None else held, inbox.epoch)
        counters.replays.inc(bool(planned.replay))
        if isinstance(planned.end, protocol.ResetFrame):
            counters.resets.labels(planned.end.reason).inc()
        if not socket.has_hello:
            socket.send_hello(_hello(socket, inbox, resumed=resumed), online)
        if planned.replay or socket.is_blocked:
            # A slow socket delays no other. The frame that closes the run must not wait in the backlog, which may be
            # dropped.
            spawn(self._replay(socket, planned.replay, planned.end))
        else:
            self._finish(socket, planned.end)

    async def _replay(
        self,
        socket: ClientSocket,
        frames: Iterable[protocol.InboxFrame],
        end: protocol.SyncedFrame | protocol.ResetFrame,
    ) -> None:
        for frame in frames:
            await socket.drained()
            if not _restart_if_outdated(socket):
                return
            text = frame.encode()
            pacing.replayed_bytes.take(socket.user_id, len(text))
            socket.send(text, frame)
        await socket.drained()
        self._finish(socket, end)

    def _finish(self, socket: ClientSocket, end: protocol.SyncedFrame | protocol.ResetFrame) -> None:
        """In one step of the loop: the closing frame, live, and what was kept meanwhile."""
        user = self._users.get(socket.user_id)
        if _restart_if_outdated(socket) and user is not None:
            socket.finish_catch_up(end)
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug(
                    "caught up: user=%(user)s connection=%(connection)s revision=%(revision)s by=%(by)s",
                    {
                        "user": socket.user_id,
                        "connection": socket.id,
                        "revision": end.revision,
                        "by": end.type,
                    },
                )
            user.flush()


def _restart_if_outdated(socket: ClientSocket) -> bool:
    """Restart an outdated catch-up. Returns whether what was read for the socket is still usable."""
    if socket.is_outdated:
        socket.restart_catch_up()
    return socket.is_catching_up


def _first_needed(socket: ClientSocket) -> int:
    """Return the revision after which this socket needs rows, or NO_ROWS."""
    if socket.request is not None:
        revision = socket.request.revision
        return NO_ROWS if revision is None else revision
    return socket.cursor if socket.has_hello else NO_ROWS


def _lowest_revisions(batch: Iterable[ClientSocket]) -> dict[Any, int]:
    """Return, by user id, the lowest revision after which one of these sockets needs rows, or NO_ROWS."""
    lowest: dict[Any, int] = {}
    for socket in batch:
        needed, known = _first_needed(socket), lowest.get(socket.user_id, NO_ROWS)
        lowest[socket.user_id] = max(known, needed) if NO_ROWS in (known, needed) else min(known, needed)
    return lowest


def _hello(socket: ClientSocket, inbox: inboxes.Missed, *, resumed: bool) -> protocol.HelloFrame:
    return protocol.HelloFrame(
        connection_id=socket.id,
        user=socket.login.user,
        epoch=inbox.epoch,
        revision=inbox.revision,
        unread_count=inbox.unread_count,
        resumed=resumed,
        heartbeat_seconds=conf.heartbeat_seconds,
        server_time=protocol.now(),
    )


def _read(
    since: dict[Any, int], without_hello: set[Any]
) -> tuple[dict[Any, inboxes.Missed], dict[Any, list[schemas.Presence]]]:
    """Read inboxes after these revisions, and for users with a socket that needs its hello, the contacts online."""
    # What is not numbered by then comes in live frames. One user's backlog must not hold up the others' catch-up.
    if incomplete := inboxes.incomplete(since):
        assign_pending(incomplete, seconds=ASSIGN_SECONDS, lock_seconds=ASSIGN_SECONDS)
    online: dict[Any, list[schemas.Presence]] = {}
    if without_hello:
        online = online_presence_seen_by(without_hello)
    return inboxes.missed(since), online
