"""A client of the socket, by docs/protocol.md: it checks each frame, then applies it. And helpers for such tests."""

import asyncio
import json
import time
from typing import Any

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from messaging.notifications import notify
from messaging.sequencing import assign_revisions
from realtime.db_threads import in_thread
from realtime.sockets import routing
from tests.inbox_replica import InboxReplica, PresenceReplica

PATH = "/ws/notifications/"
# Long enough for a busy machine: only a failing test waits so long.
TIMEOUT = 20


class WebSocketClient(InboxReplica):
    """One connection, and the inbox that its client holds."""

    def __init__(
        self,
        query: str = "",
        headers: list[tuple[bytes, bytes]] | None = None,
        subprotocols: list[str] | None = None,
        since: int | None = None,
        send_queue_size: int = 0,
    ) -> None:
        """`send_queue_size`: how many frames fit before the server's `send` blocks; 0 means any number."""
        super().__init__(since or 0, complete=since == 0)
        self.begin_connection(since)
        self.contacts = PresenceReplica()
        path = PATH + (f"?{query}" if query else "")
        self.communicator = WebsocketCommunicator(routing.router(), path, headers, subprotocols)
        self.communicator._output_queue = asyncio.Queue(send_queue_size)

    async def open(self) -> str | None:
        """Complete the handshake. Returns the subprotocol."""
        accepted, subprotocol = await self.communicator.connect(timeout=TIMEOUT)
        assert accepted, "the handshake was refused"
        return str(subprotocol) if subprotocol else None

    async def receive_event(self) -> dict[str, Any]:
        """Return the server's next event: a frame or a close."""
        return await self.communicator.receive_output(timeout=TIMEOUT)

    async def next(self) -> dict[str, Any]:
        """Return the next frame, applied."""
        message = await self.receive_event()
        assert message["type"] == "websocket.send", message
        assert len(message["text"].encode()) <= 512 * 1024
        frame: dict[str, Any] = json.loads(message["text"])
        self.apply(frame)
        self.contacts.apply(frame)
        return frame

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames up to the next of a type, which is the last."""
        frames = [await self.next()]
        while frames[-1]["type"] != kind:
            frames.append(await self.next())
        return frames

    async def until_revision(self, revision: int) -> list[dict[str, Any]]:
        """Return the frames until the replica has this revision and is live."""
        frames = []
        while self.revision < revision or not self.live:
            frames.append(await self.next())
        return frames

    async def received_so_far(self) -> list[dict[str, Any]]:
        """Return what the server has sent so far: all frames up to the answer to a ping."""
        ref = f"fence {id(object())}"
        await self.send_command(type="ping", ref=ref)
        frames = await self.until("pong")
        assert frames.pop()["ref"] == ref
        return frames

    @property
    def presence(self) -> dict[str, dict[str, Any]]:
        """What the client knows of its contacts, by username."""
        return self.contacts.contacts

    async def send_command(self, **command: Any) -> None:
        if command.get("type") == "resume":
            self.expect_catch_up(command.get("since"))
        await self.communicator.send_json_to(command)

    async def close_code(self) -> int:
        """Return the code with which the server closes; frames before it are skipped."""
        while (message := await self.receive_event())["type"] != "websocket.close":
            assert message["type"] == "websocket.send", message
        return int(message.get("code", 1000))

    async def disconnect(self, code: int = 1000) -> None:
        """Disconnect as the client, if the server hasn't closed."""
        if not self.communicator.future.done():
            await self.communicator.send_input({"type": "websocket.disconnect", "code": code})
        await self.communicator.wait(timeout=TIMEOUT)


def sign_in(user):
    """Sign a user in over HTTP and return the session's key."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def handshake(session_key, origin=b"http://testserver"):
    """The headers of a browser that is signed in."""
    cookie = f"{settings.SESSION_COOKIE_NAME}={session_key}"
    return [(b"host", b"testserver"), (b"origin", origin), (b"cookie", cookie.encode())]


def notify_titles(user, *titles):
    """Notify a user. Returns the ids."""
    return [notify(user, "announcement", title).pk for title in titles]


def notify_titles_one_by_one(user, *titles):
    """Notify a user, with one revision for each title. Returns the ids."""
    ids = []
    for title in titles:
        ids += notify_titles(user, title)
        assign_revisions([user.pk])
    return ids


async def eventually(condition, *args):
    """Wait until something holds. `condition` runs on the loop; see `eventually_in_database`."""
    deadline = time.monotonic() + TIMEOUT
    while not condition(*args):
        assert time.monotonic() < deadline, "the condition did not become true"
        await asyncio.sleep(0.01)


async def eventually_in_database(condition, *args):
    deadline = time.monotonic() + TIMEOUT
    while not await in_thread(condition, *args):
        assert time.monotonic() < deadline, "the condition did not become true"
        await asyncio.sleep(0.02)
