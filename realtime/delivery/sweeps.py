"""The periodic tasks of a hub: reconcile sockets with the database, revalidate logins, send heartbeats."""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from messaging import inboxes, pruning, repair
from messaging.sequencing import assign_pending
from realtime import auth, counters, protocol
from realtime.background import run_periodically
from realtime.conf import conf
from realtime.db_threads import in_thread
from realtime.outages import Outage

from .client_socket import ClientSocket
from .presence_fanout import PresenceFanout
from .user_sockets import UserSockets

logger = logging.getLogger(__name__)

USERS_PER_SWEEP = 1_000
# How often the hub looks for sockets whose heartbeat is due.
HEARTBEAT_CHECK_SECONDS = 1.0
# How often old ephemeral notifications are looked for, and the pause between batches of them.
EPHEMERAL_SECONDS = 60.0
EPHEMERAL_PAUSE_SECONDS = 0.1
LOGGED_INBOXES = 10
# After how long without an answer the oldest question about notifications is logged.
SLOW_SECONDS = 5.0
SLOW_REASON = (
    "a lock holds their table, or the database is very slow; `manage.py doorbell_status` names the lock"
)
# How long a revision that the database has may be in flight before the sweep calls it missing.
IN_FLIGHT_SECONDS = 0.2


class Sweeps:
    """`layer_degraded` says whether the layer is known not to bring everything: then the sweeps come more often."""

    def __init__(
        self,
        users: Mapping[Any, UserSockets],
        presence_fanout: PresenceFanout,
        layer_degraded: Callable[[], bool],
    ) -> None:
        self._users = users
        self._presence_fanout = presence_fanout
        self._layer_degraded = layer_degraded
        self._rotation = repair.Rotation()
        self._slow = Outage(
            logger,
            f"pending notifications not read for {SLOW_SECONDS:.0f} s; they are late, and calls may hang: %s",
            "pending notifications still not read after %.0f min: %s",
            "pending notifications are read again after %.0f s",
        )

    def periodic_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return the endless coroutines, to be made tasks of."""
        return [
            run_periodically(self._sweep_seconds, self.sweep),
            # At once: the first run records the horizon from which later runs find changes whose hint was lost.
            run_periodically(self._sweep_seconds, self._presence_fanout.sweep, at_once=True),
            run_periodically(lambda: conf.pending_seconds, self.sweep_pending),
            run_periodically(lambda: conf.sweep_seconds, self.repair_inboxes),
            run_periodically(lambda: conf.recheck_seconds, self.recheck_all),
            run_periodically(lambda: EPHEMERAL_SECONDS, self.remove_ephemeral),
            run_periodically(lambda: HEARTBEAT_CHECK_SECONDS, self.send_heartbeats),
        ]

    def _sweep_seconds(self) -> float:
        return min(1, conf.sweep_seconds) if self._layer_degraded() else conf.sweep_seconds

    def _sockets(self) -> list[ClientSocket]:
        return [socket for user in self._users.values() for socket in user.sockets]

    async def sweep(self) -> None:
        """Compare every live socket with the database: it may be behind, or hold a history that was replaced."""
        user_ids = list(self._users)
        for start in range(0, len(user_ids), USERS_PER_SWEEP):
            positions = await in_thread(inboxes.positions, user_ids[start : start + USERS_PER_SWEEP])
            suspects = {
                socket: socket.cursor
                for user_id in positions.keys() & self._users.keys()
                for socket in self._users[user_id].sockets
                if socket.is_live and (socket.cursor, socket.epoch) != positions[user_id]
            }
            if suspects:
                await asyncio.sleep(IN_FLIGHT_SECONDS)
                later = await in_thread(inboxes.positions, {socket.user_id for socket in suspects})
                for socket, cursor in suspects.items():
                    revision = positions[socket.user_id].revision
                    present, epoch = later.get(socket.user_id, (0, None))
                    # A cursor may be above what was read before it, never above what is read after it.
                    if socket.is_live and (
                        socket.cursor < revision or cursor > present or socket.epoch != epoch
                    ):
                        counters.swept_sockets.inc()
                        socket.request_recovery()

    async def sweep_pending(self) -> None:
        """Assign revisions to what was committed without an event: by a killed process, or by raw SQL."""

        def overdue() -> None:
            user_ids = inboxes.pending_users(older_than=timedelta(seconds=conf.pending_seconds))
            counters.swept_revisions.inc(assign_pending(user_ids, seconds=conf.pending_seconds))

        slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._slow.note, SLOW_REASON)
        try:
            await in_thread(overdue)
        finally:
            slow.cancel()
        self._slow.note(None)

    async def repair_inboxes(self) -> None:
        """Repair those of the next inboxes that disagree with their rows, and reset their sockets."""
        repaired = await in_thread(self._rotation.repair, list(self._users))
        if repaired:
            counters.repaired_inboxes.inc(len(repaired))
            logger.warning(
                "%d inboxes disagreed with their rows, which were restored or written past the triggers; they were "
                "recounted, and their clients read their lists again: %s",
                len(repaired),
                ", ".join(
                    f"user={inbox.user_id} from {inbox.unread_before} to {inbox.unread_count}"
                    for inbox in repaired[:LOGGED_INBOXES]
                ),
            )
            await self.sweep()

    async def remove_ephemeral(self) -> None:
        """Remove old ephemeral notifications, as many as there are, in small batches."""
        while True:
            if not await in_thread(pruning.remove_ephemeral):
                return
            await asyncio.sleep(EPHEMERAL_PAUSE_SECONDS)

    async def recheck_all(self) -> None:
        await self.recheck(self._sockets())

    async def recheck(self, sockets: Collection[ClientSocket]) -> None:
        """Close those of these sockets whose login has ended."""
        if sockets:
            keys = {socket.login.key for socket in sockets}
            valid = await in_thread(auth.valid_logins, keys)
            for socket in sockets:
                user = valid.get(socket.login.key)
                if user is None or user.id != socket.login.user.id:
                    socket.close(protocol.CloseCode.SIGNED_OUT, "signed out")

    async def send_heartbeats(self) -> None:
        """Send the heartbeats that are due."""
        now = asyncio.get_running_loop().time()
        for socket in self._sockets():
            if socket.heartbeat_due is None:
                # Spread, so that sockets opened together don't all send together.
                socket.heartbeat_due = now + random.uniform(0, conf.heartbeat_seconds)  # noqa: S311
            elif socket.has_hello and not socket.is_blocked and now >= socket.heartbeat_due:
                # (In the backlog it would name revisions that an overflow drops.)
                socket.heartbeat_due = now + conf.heartbeat_seconds
                socket.send_frame(
                    protocol.HeartbeatFrame(
                        revision=socket.cursor,
                        unread_count=socket.unread_count,
                        server_time=protocol.now(),
                    )
                )
