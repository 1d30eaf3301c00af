"""One page of a user, made from docs/protocol.md alone: a socket, and the inbox that the page would show.

It holds the server to the contract: each frame is checked, then applied.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.inbox_replica import InboxReplica, PresenceReplica

from .frame_format import MAX_FRAME_BYTES, check_frame

if TYPE_CHECKING:
    from .client import Person

SUBPROTOCOL = "notifications.v1"


class SocketEnded(AssertionError):
    """A socket ended before what the test waited for had come."""


class Tab:
    """One page. After `drop` (or whatever ended its socket) `open` resumes from the revision it holds."""

    def __init__(self, person: "Person") -> None:
        self.person = person
        self.inbox = InboxReplica()
        self.presence = PresenceReplica()
        self.frames: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None

    # --- Commands and waits ---------------------------------------------------------------------------------------

    async def open(self, **options: Any) -> Self:
        """Connect, from what it holds; returns when the catch-up is complete."""
        if self.inbox.epoch is None:
            self.inbox.load(await self.person.inbox())
        self.close_code = None
        self.inbox.begin_connection(self.inbox.revision)
        path = f"/ws/notifications/?since={self.inbox.revision}&epoch={self.inbox.epoch}"
        # A small queue: a tab that is paused stops reading from the network, too.
        self._socket = await self.person.socket(path, max_queue=4, **options)
        assert self._socket.subprotocol == SUBPROTOCOL
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.until(lambda tab: tab.inbox.live, what="synced or reset")
        return self

    async def reopen(self, seconds: float = 30) -> Self:
        """Connect again, however often the server refuses."""
        deadline = time.monotonic() + seconds
        while True:
            await self.drop()
            try:
                return await self.open()
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, SocketEnded):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def drop(self) -> None:
        """Abort the connection without a close frame, as a lost network does."""
        if self._socket is not None:
            self.transport.abort()
        await self._end()
        self._raise_failure()

    async def close(self) -> None:
        if self._socket is not None:
            self._reading.set()
            await self._socket.close()
        await self._end()
        self._raise_failure()

    async def _end(self) -> None:
        self._reading.set()
        if self._reader is not None:
            await asyncio.wait({self._reader})
        self._socket = self._reader = None
        self.inbox.live = False

    @property
    def websocket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    @property
    def transport(self) -> asyncio.Transport:
        return self.websocket.transport

    def pause_reading(self) -> None:
        """Stop reading, a few frames later. (What the network holds is read until then.)"""
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    async def send(self, **command: Any) -> None:
        if command.get("type") == "resume":
            self.inbox.expect_catch_up(command["since"])
        await self.websocket.send(json.dumps(command))

    async def until(self, condition: Callable[["Tab"], Any], seconds: float = 20, what: str = "") -> Any:
        """Wait until the condition holds; returns what it returned. Fails at once if the socket ends before."""
        deadline = time.monotonic() + seconds
        while True:
            self._changed.clear()
            self._raise_failure()
            if result := condition(self):
                return result
            if self._reader is None or self._reader.done():
                raise SocketEnded(
                    f"the socket ended with {self.close_code} before {what or 'what was waited for'}"
                )
            left = deadline - time.monotonic()
            assert left > 0, (
                f"{what or 'it'} didn't come within {seconds} s; {self.inbox}; {self.frames[-3:]}"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    async def until_shows(
        self, *, unread: int | None = None, messages: int | None = None, seconds: float = 20
    ) -> None:
        """Wait until the badge and the number of message notifications are these."""
        await self.until(
            lambda tab: unread in (None, tab.inbox.unread_count) and messages in (None, len(tab.messages)),
            seconds,
            f"badge {unread}, {messages} messages",
        )

    async def until_revision(self, revision: int, seconds: float = 20) -> None:
        await self.until(lambda tab: tab.inbox.revision >= revision, seconds, f"revision {revision}")

    async def until_closed(self, seconds: float = 20) -> int | None:
        """Wait for the end of the socket; returns the close code."""
        assert self._reader is not None
        done, _ = await asyncio.wait({self._reader}, timeout=seconds)
        assert done, f"the socket is still open after {seconds} s"
        self._raise_failure()
        return self.close_code

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The notifications of messages: changes of presence make others, at any time."""
        found = (item for _, item in sorted(self.inbox.items.items()))
        return [item for item in found if item["notification_type"] == "new_message"]

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def until_consistent(self, seconds: float = 20) -> InboxReplica:
        """Wait until nothing is on its way any more, and check that the page shows what a fresh read would.

        A list's items may be newer than its revision: only what two readings in a row say is compared.
        """
        deadline = time.monotonic() + seconds
        before = await self.person.inbox()
        while True:
            fresh = await self.person.inbox()
            await self.until_revision(fresh.revision)
            if before == fresh and self.inbox.revision == fresh.revision:
                assert self.inbox == fresh, f"{self.inbox} is shown, {fresh} is true"
                assert fresh.unread_count == fresh.unread
                return fresh
            before = fresh
            assert time.monotonic() < deadline, "the inbox changes all the time"

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def sees_online(self, other: "Person") -> bool:
        return bool(self.presence.contacts.get(other.username, {}).get("is_online"))

    # --- Reading ------------------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._reading.wait()
                await self._receive(await socket.recv())
        except ConnectionClosed:
            self.close_code = socket.close_code
        except BaseException as error:
            # Raised where the test waits.
            self._failure = error
        finally:
            self.inbox.live = False
            self._changed.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    async def _receive(self, text: str | bytes) -> None:
        assert isinstance(text, str), "a binary frame"
        assert len(text.encode()) <= MAX_FRAME_BYTES, f"a frame of {len(text.encode())} bytes"
        frame = json.loads(text)
        check_frame(frame)
        if frame["type"] == "hello":
            assert frame["user"] == {"id": self.person.id, "username": self.person.username}
        self.inbox.apply(frame)
        self.presence.apply(frame)
        if frame["type"] == "reset":
            self.inbox.load(await self.person.inbox())
            assert self.inbox.revision >= frame["revision"], "the list is older than the reset"
        self.frames.append(frame)
        self._changed.set()
