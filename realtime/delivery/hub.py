"""From the channel layer to the sockets: one hub per event loop, with one channel for all of them.

It owns the sockets of each connected user. The database decides what a client gets, the layer only shortens the wait:
what a push doesn't bring, recovery.py and sweeps.py do.
"""

import asyncio
import logging
import time
from typing import Any

from messaging.events import View
from realtime import background, counters, protocol, request_id
from realtime.background import cancel_all, run_again, run_periodically, spawn
from realtime.channel_layer import guarded
from realtime.default_layer import get_channel_layer
from realtime.outbound import envelopes
from realtime.outbound.envelopes import (
    PRESENCE_GROUP,
    AnnouncementEnvelope,
    CloseEnvelope,
    DeletedEnvelope,
    PresenceEnvelope,
    RecheckEnvelope,
    RevisionEnvelope,
    ViewsEnvelope,
    user_group,
)
from realtime.presence.writer import presence_writer

from .client_socket import ClientSocket
from .presence_fanout import PresenceFanout
from .recovery import Recovery
from .sweeps import Sweeps
from .user_sockets import UserSockets

logger = logging.getLogger(__name__)

JOIN_SECONDS = 1.0
# How often a group that could not be joined is tried again.
REJOIN_SECONDS = 1.0
# How long a user's group is kept after their last socket: a page reload comes back within seconds.
LINGER_SECONDS = 10.0
# For how long messages from the layer are handled before the loop's other tasks run.
MAX_SLICE_SECONDS = 0.005


class Hub:
    """Everything that the sockets of one event loop share."""

    def __init__(self) -> None:
        self.users: dict[Any, UserSockets] = {}
        self.recovery = Recovery(self.users)
        self.presence_fanout = PresenceFanout(self.users)
        self.sweeps = Sweeps(self.users, self.presence_fanout, lambda: self.layer_degraded)
        # Messages from the layer that couldn't be decoded.
        self.ignored = 0
        self._layer: Any = get_channel_layer()
        self._guarded = guarded(self._layer)
        self._channel = ""
        self._open = asyncio.Event()
        # The layer may have lost something.
        self._gap = asyncio.Event()
        # One line in the log for each outage.
        self._warned = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        background.server_loops.add(asyncio.get_running_loop())
        if self._guarded is not None:
            self._guarded.on_gap(self._gap.set)
        endless = [
            run_again("receive", self._receive),
            run_again("close_gaps", self._close_gaps),
            run_again("recovery", self.recovery.run),
            run_periodically(lambda: REJOIN_SECONDS, self.rejoin_missing_groups),
            *self.sweeps.periodic_tasks(),
        ]
        self._tasks = [asyncio.create_task(work) for work in endless]

    async def stop(self) -> None:
        """End the hub's tasks. Sockets are left as they are."""
        background.server_loops.discard(asyncio.get_running_loop())
        await cancel_all(self._tasks)

    # --- Sockets ---------------------------------------------------------------------------------------------

    async def attach(self, socket: ClientSocket) -> None:
        """Join the group of the socket's user, then have the socket sent its hello and brought up to date."""
        user = self.users.get(socket.user_id)
        if user is None:
            user = self.users[socket.user_id] = UserSockets(socket.user_id)
        user.sockets.add(socket)
        counters.sockets_opened.inc()
        if not user.joined:
            # Joined before the inbox is read: a revision assigned between the two would reach the socket by neither.
            # If the join isn't confirmed in time, the sweep covers it.
            joining = spawn(self._join(user))
            if not self._layer_away:
                await asyncio.wait([joining], timeout=JOIN_SECONDS)
        if presence_writer.has_several:
            # Several that connect at once are written in a batch, and then read in one.
            await presence_writer.written(socket.id)
        socket.request_recovery()

    def detach(self, socket: ClientSocket) -> None:
        self.recovery.forget(socket)
        user = self.users.get(socket.user_id)
        if user is not None:
            user.sockets.discard(socket)
            if not user.sockets:
                asyncio.get_running_loop().call_later(LINGER_SECONDS, lambda: spawn(self._leave(user)))

    def sockets_of(self, user_id: Any) -> list[ClientSocket]:
        user = self.users.get(user_id)
        return list(user.sockets) if user else []

    # --- Groups ----------------------------------------------------------------------------------------------

    @property
    def layer_degraded(self) -> bool:
        """Whether the layer is known to lose messages: it is unhealthy, or a group isn't joined."""
        if self._guarded is not None and not self._guarded.healthy:
            return True
        return not all(user.joined for user in self.users.values())

    @property
    def _layer_away(self) -> bool:
        return self._guarded is not None and self._guarded.disconnected

    async def rejoin_missing_groups(self) -> None:
        """Join the groups again that could not be joined. (The guarded layer remembers what it was asked for.)"""
        if self._guarded is not None and not self._guarded.healthy:
            return
        missing = [user for user in self.users.values() if not user.joined]
        self._warned = self._warned and bool(missing)
        if self._open.is_set():
            for user in missing:
                spawn(self._join(user))

    async def _join(self, user: UserSockets) -> None:
        await self._open.wait()
        async with user.membership:
            if not user.joined and self.users.get(user.user_id) is user:
                try:
                    await self._layer.group_add(user_group(user.user_id), self._channel)
                    user.joined = True
                except Exception as error:
                    self._warn(
                        "could not join a group; deliveries fall back to the sweep: user %(user)s: %(error)r",
                        {"user": user.user_id, "error": error},
                    )

    async def _leave(self, user: UserSockets) -> None:
        async with user.membership:
            if user.sockets or self.users.get(user.user_id) is not user:
                return
            user.joined = False
            try:
                # Even if it was never confirmed: a layer may remember what it was asked for.
                await self._layer.group_discard(user_group(user.user_id), self._channel)
            except Exception as error:
                named = {"user": user.user_id, "error": error}
                self._warn("could not leave a group: user %(user)s: %(error)r", named)
            if not user.sockets:
                del self.users[user.user_id]

    def _warn(self, text: str, *details: Any) -> None:
        if not (self._warned or self._layer_away):
            logger.warning(text, *details)
        self._warned = True

    # --- Messages --------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        slice_began = time.monotonic()
        while True:
            try:
                if not self._open.is_set():
                    await self._open_channel()
                message = await self._layer.receive(self._channel)
            except Exception as error:
                self._warn("channel layer unavailable; deliveries fall back to the sweep: %r", error)
                await asyncio.sleep(1)
                continue
            try:
                self.handle(message)
            except Exception:
                # Another version of this server may have sent it, or another program.
                self.ignored += 1
                logger.warning("ignored a malformed message from the channel layer", exc_info=True)
            if time.monotonic() - slice_began > MAX_SLICE_SECONDS:
                # receive() doesn't yield while there is more.
                await asyncio.sleep(0)
                slice_began = time.monotonic()

    async def _open_channel(self) -> None:
        self._channel = self._channel or await self._layer.new_channel()
        await self._layer.group_add(PRESENCE_GROUP, self._channel)
        self._open.set()

    def handle(self, message: Any) -> None:
        """Act on a message from the layer. Unknown kinds and versions are counted and ignored."""
        envelope = envelopes.decode(message)
        match envelope:
            case RevisionEnvelope():
                self._push(envelope, message)
            case AnnouncementEnvelope():
                for revision in envelope.of(self.users):
                    self._push(revision, message)
            case PresenceEnvelope():
                spawn(self.presence_fanout.announce(envelope.users))
            case ViewsEnvelope():
                spawn(self.presence_fanout.announce_views(View(*view) for view in envelope.views))
            case DeletedEnvelope():
                self.presence_fanout.announce_deleted(envelope)
            case RecheckEnvelope():
                spawn(self.sweeps.recheck(self.sockets_of(envelope.user)))
            case CloseEnvelope():
                self._close(envelope)
            case _:
                self.ignored += 1

    def _push(self, envelope: RevisionEnvelope, message: dict[str, Any]) -> None:
        if (user := self.users.get(envelope.user)) is not None:
            user.push(envelope)
            if logger.isEnabledFor(logging.DEBUG):
                _log_pushed(user, envelope, message.get("request"))
            # Another version of this server sends no time.
            committed = message.get("committed")
            if type(committed) is float:
                counters.observe_delivery(time.time() - committed)

    def _close(self, envelope: CloseEnvelope) -> None:
        for socket in self.sockets_of(envelope.user):
            if socket.id == envelope.connection:
                socket.close(envelope.code)

    async def _close_gaps(self) -> None:
        """After a gap in the layer, compare with the database at once."""
        while True:
            await self._gap.wait()
            self._gap.clear()
            try:
                await self.sweeps.sweep()
                await self.presence_fanout.sweep()
                await self.sweeps.recheck_all()
            except Exception as error:
                logger.warning(
                    "the sweep after a gap in the channel layer failed; it is tried again: %r", error
                )
                self._gap.set()
                await asyncio.sleep(1)


def _log_pushed(user: UserSockets, envelope: RevisionEnvelope, request: Any) -> None:
    """A socket that isn't named waits for an earlier revision: its catch-up has a line of its own."""
    sent = [socket.id for socket in user.sockets if socket.is_live and socket.cursor >= envelope.revision]
    with request_id.bound(request):
        logger.debug(
            "pushed: user=%(user)s revision=%(revision)s notifications=%(notifications)s connections=%(connections)s",
            {
                "user": envelope.user,
                "revision": envelope.revision,
                "notifications": protocol.notification_ids(envelope.frame),
                "connections": sent,
            },
        )


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def running_hub() -> Hub:
    """Return the hub of the running event loop, started on first use."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        for closed in [known for known in _hubs if known.is_closed()]:
            del _hubs[closed]
            background.server_loops.discard(closed)
        hub = _hubs[loop] = Hub()
        hub.start()
    return hub


def running_hubs() -> list[Hub]:
    """Return the hubs of all event loops of this process. May be called by any thread."""
    return list(_hubs.values())
