"""From the channel layer to the sockets: one hub per event loop, with one channel for all of them.

It owns a feed for each connected user. The database decides what a client gets, the layer only shortens the wait:
what a push doesn't bring, reader.py and upkeep.py do.
"""

import asyncio
import logging
import time
from typing import Any

from channels.layers import get_channel_layer

from realtime import background, counters
from realtime.background import end, spawn
from realtime.channel_layer import GuardedRedisLayer
from realtime.outbound.receivers import ENVELOPE, PRESENCE_GROUP, user_group

from .client_socket import Connection
from .recovery import Reader
from .sweeps import Upkeep
from .user_sockets import Feed

logger = logging.getLogger(__name__)

JOIN_SECONDS = 1.0
LINGER_SECONDS = 10.0
LONGEST_TURN_SECONDS = 0.005


class Hub:
    """Everything that the sockets of one event loop share."""

    def __init__(self) -> None:
        self.feeds: dict[int, Feed] = {}
        # Messages from the layer that couldn't be understood.
        self.ignored = 0
        self.reader = Reader(self.feeds)
        self.upkeep = Upkeep(self.feeds, self.reader.fall_behind, self._sick)
        self._layer: Any = get_channel_layer()
        self._channel = ""
        self._open = asyncio.Event()
        # The layer may have lost something.
        self._gap = asyncio.Event()
        # One line in the log for each outage.
        self._complained = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        background.server_loops.add(asyncio.get_running_loop())
        if isinstance(self._layer, GuardedRedisLayer):
            self._layer.on_gap(self._gap.set)
        work = [self._receive(), self._close_gaps(), self.reader.run(), *self.upkeep.works()]
        self._tasks = [asyncio.create_task(endless) for endless in work]

    async def stop(self) -> None:
        """End the hub's tasks. Sockets are left as they are."""
        background.server_loops.discard(asyncio.get_running_loop())
        await end(self._tasks)

    async def attach(self, connection: Connection) -> None:
        """Take a connection in: join its user's group, then have the reader greet it and bring it up to date."""
        feed = self.feeds.get(connection.user_id)
        if feed is None:
            feed = self.feeds[connection.user_id] = Feed(connection.user_id)
        feed.connections.add(connection)
        counters.sockets_opened += 1
        connection.when_moving = self.reader.fall_behind
        if not feed.joined:
            # Before the read, or what happens in between would be in neither. Unconfirmed, it is swept for.
            joining = spawn(self._join(feed))
            if not self._away():
                await asyncio.wait([joining], timeout=JOIN_SECONDS)
        self.reader.fall_behind(connection)

    def detach(self, connection: Connection) -> None:
        self.reader.forget(connection)
        feed = self.feeds.get(connection.user_id)
        if feed is not None:
            feed.connections.discard(connection)
            if not feed.connections:
                # A reload comes back within seconds: keep the group for it.
                asyncio.get_running_loop().call_later(LINGER_SECONDS, lambda: spawn(self._leave(feed)))

    def _away(self) -> bool:
        return isinstance(self._layer, GuardedRedisLayer) and self._layer.away

    def _sick(self) -> bool:
        """Is the layer unwell, or is there a group that we should be in and aren't? Then try that again."""
        if isinstance(self._layer, GuardedRedisLayer) and not self._layer.healthy:
            # It remembers what it was asked for.
            return True
        outside = [feed for feed in self.feeds.values() if not feed.joined]
        for feed in outside if self._open.is_set() else ():
            spawn(self._join(feed))
        self._complained = self._complained and bool(outside)
        return bool(outside)

    async def _close_gaps(self) -> None:
        """After a gap in the layer ask the database at once for what it may have lost."""
        while True:
            await self._gap.wait()
            self._gap.clear()
            try:
                await self.upkeep.sweep()
                await self.upkeep.sweep_presence()
                await self.upkeep.recheck_all()
            except Exception as error:
                logger.warning("the sweep after a gap failed, and is tried again: %s", error)
                self._gap.set()
                await asyncio.sleep(1)

    async def _join(self, feed: Feed) -> None:
        await self._open.wait()
        async with feed.changing:
            if not feed.joined and self.feeds.get(feed.user_id) is feed:
                try:
                    await self._layer.group_add(user_group(feed.user_id), self._channel)
                    feed.joined = True
                except Exception as error:
                    self._complain("could not join the group of user %d yet: %r", feed.user_id, error)

    def _complain(self, text: str, *details: Any) -> None:
        if not (self._complained or self._away()):
            logger.warning(text, *details)
        self._complained = True

    async def _leave(self, feed: Feed) -> None:
        async with feed.changing:
            if feed.connections or self.feeds.get(feed.user_id) is not feed:
                return
            feed.joined = False
            try:
                # Even if it was never confirmed: a layer may remember what it was asked for.
                await self._layer.group_discard(user_group(feed.user_id), self._channel)
            except Exception as error:
                self._complain("could not leave the group of user %d: %r", feed.user_id, error)
            if not feed.connections:
                del self.feeds[feed.user_id]

    async def _receive(self) -> None:
        turn = time.monotonic()
        while True:
            try:
                if not self._open.is_set():
                    await self._open_channel()
                message = await self._layer.receive(self._channel)
            except Exception as error:
                self._complain("the channel layer failed: %r", error)
                await asyncio.sleep(1)
                continue
            try:
                self.take(message)
            except Exception:
                # Another version of this server may have sent it, or somebody else.
                self.ignored += 1
                logger.warning("ignored a bad message from the channel layer", exc_info=True)
            if time.monotonic() - turn > LONGEST_TURN_SECONDS:
                # receive() doesn't yield while there is more.
                await asyncio.sleep(0)
                turn = time.monotonic()

    async def _open_channel(self) -> None:
        self._channel = self._channel or await self._layer.new_channel()
        await self._layer.group_add(PRESENCE_GROUP, self._channel)
        self._open.set()

    def take(self, message: dict[str, Any]) -> None:
        """Act on a message from the layer. Unknown kinds and versions are counted and ignored."""
        handler = {
            "doorbell.inbox": self._take_inbox,
            "doorbell.presence": self._take_presence,
            "doorbell.recheck": self._take_recheck,
            "doorbell.close": self._take_close,
        }.get(message.get("type", ""))
        if handler is None or message.get("v") != ENVELOPE:
            self.ignored += 1
            return
        handler(message)

    def _take_inbox(self, message: dict[str, Any]) -> None:
        revision, unread_count, frame = message["revision"], message["unread_count"], message["frame"]
        if not (isinstance(revision, int) and isinstance(unread_count, int) and isinstance(frame, str)):
            raise TypeError("not a revision")
        feed = self.feeds.get(message["user"])
        if feed is not None:
            feed.push(revision, unread_count, frame, self.reader.fall_behind)

    def _take_presence(self, message: dict[str, Any]) -> None:
        spawn(self.upkeep.tell_presence([int(user_id) for user_id in message["users"]]))

    def _take_recheck(self, message: dict[str, Any]) -> None:
        spawn(self.upkeep.recheck(self._connections_of(message["user"])))

    def _take_close(self, message: dict[str, Any]) -> None:
        code = int(message["code"])
        for connection in self._connections_of(message["user"]):
            if connection.id == message["connection"]:
                connection.close(code)

    def _connections_of(self, user_id: int) -> list[Connection]:
        feed = self.feeds.get(user_id)
        return list(feed.connections) if feed else []


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
