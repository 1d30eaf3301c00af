"""The reader brings connections that are behind up to date from the database: one for each hub, many in a query."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping

from django.db import InterfaceError, OperationalError

from messaging import inboxes, profiles, schemas
from messaging.contacts import contacts_of_many
from messaging.sequencing import assign_revisions
from realtime import counters, protocol
from realtime.background import spawn
from realtime.conf import conf
from realtime.db import in_thread
from realtime.presence.writer import presence_writer

from .client_socket import Connection
from .replay import plan
from .user_sockets import Feed

logger = logging.getLogger(__name__)

# With a thousand rows for each that is 100 MB at most. More in a query bring 5,000 sockets back no sooner.
USERS_A_READ = 50
RETRY_SECONDS = 1.0


class Reader:
    """Attaching, `resume`, a gap, a sweep's finding and an overflowed backlog all end here, by `fall_behind`."""

    def __init__(self, feeds: Mapping[int, Feed]) -> None:
        self._feeds = feeds
        # A dict for its order: first come, first served.
        self._behind: dict[Connection, None] = {}
        self._wake = asyncio.Event()
        # How many are still to be read one user at a time, after a batch in which somebody couldn't be.
        self._alone = 0

    def fall_behind(self, connection: Connection) -> None:
        """Have this connection brought up to date."""
        connection.live = False
        if connection.reading:
            connection.read_again = True
            return
        self._behind[connection] = None
        self._wake.set()

    def forget(self, connection: Connection) -> None:
        self._behind.pop(connection, None)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._behind:
                batch = self._take()
                try:
                    await self._catch_up(batch)
                except (OperationalError, InterfaceError) as error:
                    logger.warning("%d connections wait for the database: %s", len(batch), error)
                    for connection in batch:
                        self._put_back(connection)
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception as error:
                    self._isolate(batch, error)

    def _isolate(self, batch: Collection[Connection], error: Exception) -> None:
        """Somebody has what can't be read or told. It holds nobody else up: each is read by itself."""
        if len({connection.user_id for connection in batch}) > 1:
            for connection in batch:
                self._put_back(connection)
            self._alone = len(self._behind)
        else:
            for connection in batch:
                self._fail(connection, error)

    def _fail(self, connection: Connection, error: Exception) -> None:
        logger.error("user %d can't be brought up to date", connection.user_id, exc_info=error)
        connection.close(protocol.CloseCode.INTERNAL_ERROR, "internal error")

    def _take(self) -> list[Connection]:
        batch: list[Connection] = []
        users: set[int] = set()
        for connection in self._behind:
            users.add(connection.user_id)
            if len(users) > (1 if self._alone else USERS_A_READ):
                break
            batch.append(connection)
        for connection in batch:
            del self._behind[connection]
            connection.reading = True
        self._alone = max(0, self._alone - len(batch))
        return batch

    def _put_back(self, connection: Connection) -> None:
        connection.reading = connection.read_again = False
        if not connection.closing:
            self.fall_behind(connection)

    async def _catch_up(self, batch: Collection[Connection]) -> None:
        cursors: dict[int, int] = {}
        for connection in batch:
            since, lowest = _since(connection), cursors.get(connection.user_id, -1)
            cursors[connection.user_id] = (
                min(lowest, since) if min(lowest, since) >= 0 else max(lowest, since)
            )
        strangers = {connection.user_id for connection in batch if not connection.greeted}
        missed, online = await in_thread(_read, cursors, strangers)
        for connection in batch:
            inbox = missed.get(connection.user_id)
            if connection.closing:
                continue
            if inbox is None:
                # The user is gone, and the inbox with them.
                connection.close(protocol.CloseCode.SIGNED_OUT)
            elif inbox.too_many and _since(connection) > cursors[connection.user_id]:
                # Another tab's rows filled the page: this one is read by itself.
                self._put_back(connection)
            else:
                try:
                    self._bring(connection, inbox, online.get(connection.user_id, []))
                except Exception as error:
                    self._fail(connection, error)

    def _bring(self, connection: Connection, inbox: inboxes.Missed, online: list[schemas.Presence]) -> None:
        request, connection.request = connection.request, None
        if not connection.greeted:
            connection.cursor = inbox.revision
        planned = plan(inbox, request, connection.cursor, connection.epoch)
        if request is not None and planned.resumed:
            connection.cursor = protocol.revision(request[0]) or 0
        connection.epoch = inbox.epoch
        counters.replays += bool(planned.replay)
        if isinstance(planned.end, protocol.ResetFrame):
            counters.resets[planned.end.reason] += 1
        if not connection.greeted:
            connection.greet(_hello(connection, inbox, resumed=planned.resumed), online)
        if planned.replay or connection.blocked:
            # A slow socket delays no other. What ends the run must not wait in the backlog, which may be dropped.
            spawn(self._replay(connection, planned.replay, planned.end))
        else:
            self._end(connection, planned.end)

    async def _replay(
        self,
        connection: Connection,
        frames: Iterable[protocol.InboxFrame],
        end: protocol.SyncedFrame | protocol.ResetFrame,
    ) -> None:
        for frame in frames:
            await connection.drained()
            connection.send(frame.encode(), (frame.revision, frame.unread_count))
        await connection.drained()
        self._end(connection, end)

    def _end(self, connection: Connection, end: protocol.SyncedFrame | protocol.ResetFrame) -> None:
        """In one step of the loop: the closing frame, what was kept meanwhile, and live."""
        connection.reading = False
        feed = self._feeds.get(connection.user_id)
        if connection.closing or feed is None:
            return
        connection.send(end.encode(), (end.revision, end.unread_count))
        connection.live = True
        if connection.read_again:
            connection.read_again = False
            self.fall_behind(connection)
        feed.flush(self.fall_behind)


def _since(connection: Connection) -> int:
    """From which revision on its rows are needed; -1 if none are."""
    if connection.request is not None:
        since = protocol.revision(connection.request[0])
        return -1 if since is None else since
    return connection.cursor if connection.greeted else -1


def _hello(connection: Connection, inbox: inboxes.Missed, *, resumed: bool) -> protocol.HelloFrame:
    return protocol.HelloFrame(
        connection_id=connection.id,
        user=connection.login.user,
        epoch=inbox.epoch,
        revision=inbox.revision,
        unread_count=inbox.unread_count,
        resumed=resumed,
        heartbeat_seconds=conf.heartbeat_seconds,
        server_time=protocol.now(),
    )


def _read(
    cursors: dict[int, int], strangers: set[int]
) -> tuple[dict[int, inboxes.Missed], dict[int, list[schemas.Presence]]]:
    """Read inboxes from these cursors on, and for those not greeted yet, who of their contacts is online."""
    assign_revisions(cursors)
    online: dict[int, list[schemas.Presence]] = {}
    if strangers:
        # Whoever is greeted is online, whichever process is asked.
        presence_writer.wait_for_connects(strangers)
        contacts = contacts_of_many(strangers)
        everyone = {contact for listed in contacts.values() for contact in listed}
        present = profiles.presence(everyone, online_only=True) if everyone else {}
        online = {
            user_id: [present[contact] for contact in listed if contact in present]
            for user_id, listed in contacts.items()
        }
    return inboxes.missed(cursors), online
