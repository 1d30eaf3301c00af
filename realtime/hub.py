"""From the channel layer to the sockets: one hub per event loop, with one channel for all of them.

It owns a feed for each connected user. The database decides what a client gets, the layer only shortens the wait:
what a push doesn't bring, reader.py and upkeep.py do.
"""

import asyncio
import logging
import time
from typing import Any

from channels.layers import get_channel_layer

from . import tasks
from .connection import Connection
from .feed import Feed
from .reader import Reader
from .receivers import ENVELOPE, PRESENCE_GROUP, user_group
from .tasks import end, spawn
from .upkeep import Upkeep

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
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        tasks.server_loops.add(asyncio.get_running_loop())
        work = [self._receive(), self.reader.run(), *self.upkeep.works()]
        self._tasks = [asyncio.create_task(endless) for endless in work]

    async def stop(self) -> None:
        """End the hub's tasks. Sockets are left as they are."""
        tasks.server_loops.discard(asyncio.get_running_loop())
        await end(self._tasks)

    async def attach(self, connection: Connection) -> None:
        """Take a connection in: join its user's group, then have the reader greet it and bring it up to date."""
        feed = self.feeds.get(connection.user_id)
        if feed is None:
            feed = self.feeds[connection.user_id] = Feed(connection.user_id)
        feed.connections.add(connection)
        connection.when_moving = self.reader.fall_behind
        if not feed.joined:
            # Before the read, or what happens in between would be in neither. Unconfirmed, it is swept for.
            await asyncio.wait([spawn(self._join(feed))], timeout=JOIN_SECONDS)
        self.reader.fall_behind(connection)

    def detach(self, connection: Connection) -> None:
        self.reader.forget(connection)
        feed = self.feeds.get(connection.user_id)
        if feed is not None:
            feed.connections.discard(connection)
            if not feed.connections:
                # A reload comes back within seconds: keep the group for it.
                asyncio.get_running_loop().call_later(LINGER_SECONDS, lambda: spawn(self._leave(feed)))

    def _sick(self) -> bool:
        """Is there a group that we should be in and aren't? Then try again."""
        outside = [feed for feed in self.feeds.values() if not feed.joined]
        for feed in outside if self._open.is_set() else ():
            spawn(self._join(feed))
        return bool(outside)

    async def _join(self, feed: Feed) -> None:
        await self._open.wait()
        async with feed.changing:
            if not feed.joined and self.feeds.get(feed.user_id) is feed:
                try:
                    await self._layer.group_add(user_group(feed.user_id), self._channel)
                    feed.joined = True
                except Exception as error:
                    logger.warning("could not join the group of user %d yet: %s", feed.user_id, error)

    async def _leave(self, feed: Feed) -> None:
        async with feed.changing:
            if feed.connections or self.feeds.get(feed.user_id) is not feed:
                return
            if feed.joined:
                feed.joined = False
                try:
                    await self._layer.group_discard(user_group(feed.user_id), self._channel)
                except Exception as error:
                    logger.warning("could not leave the group of user %d: %s", feed.user_id, error)
            if not feed.connections:
                del self.feeds[feed.user_id]

    async def _receive(self) -> None:
        turn = time.monotonic()
        while True:
            try:
                if not self._channel:
                    await self._open_channel()
                message = await self._layer.receive(self._channel)
            except Exception as error:
                logger.warning("the channel layer failed: %s", error)
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
        channel = await self._layer.new_channel()
        await self._layer.group_add(PRESENCE_GROUP, channel)
        self._channel = channel
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
            tasks.server_loops.discard(closed)
        hub = _hubs[loop] = Hub()
        hub.start()
    return hub
