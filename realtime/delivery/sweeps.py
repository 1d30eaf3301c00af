"""What a hub does from time to time: find what no push told, recheck logins, send heartbeats."""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Coroutine, Iterable
from datetime import timedelta
from typing import Any

from messaging import inboxes, presence_changes, profiles, pruning, schemas
from messaging.contacts import contacts_of_many
from messaging.sequencing import assign_revisions
from realtime import auth, counters, protocol
from realtime.conf import conf
from realtime.db import in_thread

from .client_socket import Connection
from .user_sockets import Feed

logger = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]
Pair = tuple[int, int]

USERS_A_SWEEP = 1_000
# How often the hub looks whose heartbeat is due.
BEAT_SECONDS = 1.0
# How often old notifications of presence are looked for, and the pause between batches of them.
PASSING_SECONDS = 60.0
PASSING_PAUSE_SECONDS = 0.1
# How long a revision that the database has may be on its way here before the sweep calls it missing.
ON_ITS_WAY_SECONDS = 0.2


class Upkeep:
    """`sick` tells whether the layer is known not to bring everything: then the sweep comes more often."""

    def __init__(
        self,
        feeds: dict[int, Feed],
        fall_behind: Callable[[Connection], None],
        sick: Callable[[], bool],
    ) -> None:
        self._feeds = feeds
        self._fall_behind = fall_behind
        self._sick = sick
        self._swept_presence: Any = None
        self._introduced: set[Pair] = set()
        # The versions told since the last sweep, which has no need to tell them again.
        self._told: dict[int, int] = {}

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """Return the endless work, to be made tasks of."""
        return [
            _every(self._sweep_seconds, self.sweep),
            # At once: of what happens from then on, what no hint tells is found.
            _every(self._sweep_seconds, self.sweep_presence, at_once=True),
            _every(lambda: conf.pending_seconds, self.sweep_pending),
            _every(lambda: conf.recheck_seconds, self.recheck_all),
            _every(lambda: PASSING_SECONDS, self.remove_ephemeral),
            _every(lambda: BEAT_SECONDS, self.beat),
        ]

    def _sweep_seconds(self) -> float:
        return min(1, conf.sweep_seconds) if self._sick() else conf.sweep_seconds

    def _connections(self) -> list[Connection]:
        return [connection for feed in self._feeds.values() for connection in feed.connections]

    async def sweep(self) -> None:
        """Compare every live connection with the database: it may be behind, or hold a history that was replaced."""
        users = list(self._feeds)
        for start in range(0, len(users), USERS_A_SWEEP):
            positions = await in_thread(inboxes.positions, users[start : start + USERS_A_SWEEP])
            cursors = {
                connection: connection.cursor
                for user_id in positions.keys() & self._feeds.keys()
                for connection in self._feeds[user_id].connections
                if connection.live and (connection.cursor, connection.epoch) != positions[user_id]
            }
            if cursors:
                await asyncio.sleep(ON_ITS_WAY_SECONDS)
                suspects = {connection.user_id for connection in cursors}
                later = await in_thread(inboxes.positions, suspects)
                for connection, cursor in cursors.items():
                    revision = positions[connection.user_id].revision
                    present, epoch = later.get(connection.user_id, (0, None))
                    # A cursor may be above what was read before it, never above what is read after it.
                    if connection.live and (
                        connection.cursor < revision or cursor > present or connection.epoch != epoch
                    ):
                        counters.swept_sockets += 1
                        self._fall_behind(connection)

    async def sweep_pending(self) -> None:
        """Number what was committed without anybody telling: a killed process's, bulk_create's, raw SQL's."""

        def overdue() -> None:
            users = inboxes.pending_users(older_than=timedelta(seconds=conf.pending_seconds))
            counters.swept_revisions += len(assign_revisions(users))

        await in_thread(overdue)

    async def sweep_presence(self) -> None:
        """Tell the changes of presence since the last time that no hint told."""

        def changed(since: Any) -> tuple[Any, dict[int, int], set[Pair]]:
            # First this: what is committed after it is found by the next sweep.
            horizon = presence_changes.horizon()
            if since is None:
                return horizon, {}, set()
            return horizon, presence_changes.changed_since(since), presence_changes.met_since(since)

        horizon, versions, pairs = await in_thread(changed, self._swept_presence)
        missed = [user for user, version in versions.items() if version > self._told.get(user, -1)]
        await self.tell_presence(missed)
        await self._introduce(pairs - self._introduced, known=set(missed))
        # Only now: what couldn't be told is looked for again.
        self._swept_presence, self._introduced = horizon, pairs
        self._told = {user: max(version, self._told.get(user, -1)) for user, version in versions.items()}

    async def tell_presence(self, users: Collection[int]) -> None:
        """Tell those of our users whose contacts these are. `version` makes telling twice harmless."""
        if not users or not self._feeds:
            return
        seen, contacts = await in_thread(_read_presence, users)
        for user_id, presence in seen.items():
            self._told[user_id] = max(presence.version, self._told.get(user_id, -1))
            self._send_presence(presence, contacts[user_id])

    async def _introduce(self, pairs: Collection[Pair], known: Collection[int]) -> None:
        """Tell our users of those whose contacts they have become. `known`: of these all have been told."""
        ours = [pair for pair in pairs if not self._feeds.keys().isdisjoint(pair)]
        if ours:
            seen = await in_thread(profiles.presence, {user for pair in ours for user in pair})
            for low, high in ours:
                for user, contact in ((low, high), (high, low)):
                    if user in seen and user not in known:
                        self._send_presence(seen[user], [contact])

    def _send_presence(self, presence: schemas.Presence, contacts: Iterable[int]) -> None:
        text = protocol.PresenceFrame(**dict(presence)).encode()
        for contact in contacts:
            feed = self._feeds.get(contact)
            for connection in list(feed.connections) if feed else []:
                connection.send_when_greeted(text)

    async def remove_ephemeral(self) -> None:
        """Remove old notifications of presence, as many as there are, in small batches."""
        while True:
            if not await in_thread(pruning.remove_ephemeral):
                return
            await asyncio.sleep(PASSING_PAUSE_SECONDS)

    async def recheck_all(self) -> None:
        await self.recheck(self._connections())

    async def recheck(self, connections: Collection[Connection]) -> None:
        """Close the sockets whose login has ended."""
        if connections:
            keys = {connection.login.session_key for connection in connections}
            valid = await in_thread(auth.valid_logins, keys)
            for connection in connections:
                user = valid.get(connection.login.session_key)
                if user is None or user.id != connection.user_id:
                    connection.close(protocol.CloseCode.SIGNED_OUT, "signed out")

    async def beat(self) -> None:
        """Send heartbeats to those connections whose turn it is."""
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            if connection.beat_at is None:
                # Spread, so that those who came together don't beat together.
                connection.beat_at = now + random.uniform(0, conf.heartbeat_seconds)  # noqa: S311
            elif connection.greeted and not connection.blocked and now >= connection.beat_at:
                # (In the backlog it would tell of revisions that an overflow drops.)
                connection.beat_at = now + conf.heartbeat_seconds
                connection.send_frame(
                    protocol.HeartbeatFrame(
                        revision=connection.cursor,
                        unread_count=connection.unread_count,
                        server_time=protocol.now(),
                    )
                )


async def _every(seconds: Callable[[], float], work: Work, *, at_once: bool = False) -> None:
    now = asyncio.get_running_loop().time
    while True:
        began = now()
        # Asked again and again: when the layer falls ill, the next sweep comes sooner than was planned.
        while not at_once and (left := began + seconds() - now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 1))
        at_once = False
        try:
            await work()
        except Exception as error:
            # The database is away, say: that closes no socket.
            logger.warning("%s failed: %s", work.__name__, error)


def _read_presence(
    users: Iterable[int],
) -> tuple[dict[int, schemas.Presence], dict[int, list[int]]]:
    users = list(users)
    return profiles.presence(users), contacts_of_many(users)
