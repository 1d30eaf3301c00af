"""A client of the socket, as protocol.md describes one. It checks the order of every frame it gets."""

import asyncio
import json
import time
from collections import Counter
from typing import Any

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from messaging.notifications import notify
from messaging.sequencing import assign_revisions
from realtime.db import in_thread
from realtime.sockets.routing import websocket_urlpatterns

PATH = "/ws/notifications/"
# Long enough for a busy machine: only a test that fails waits so long.
TIMEOUT = 20


class Copy:
    """The copy of the inbox that a client keeps over one connection. It checks that each frame may come now."""

    def __init__(self, since: int | None = None) -> None:
        self.revision: int | None = since
        self.unread_count: int | None = None
        self.rows: dict[int, bool] = {}
        # How often each notification came in `added`.
        self.added: Counter[int] = Counter()
        self.titles: list[str] = []
        self.synced = False
        self.presence: dict[str, dict[str, Any]] = {}

    def apply(self, frame: dict[str, Any]) -> None:
        """Keep the copy by the rules of the contract, and check that the frame may come now."""
        kind = frame["type"]
        if kind == "hello":
            assert self.unread_count is None, "hello comes once"
            self.unread_count = frame["unread_count"]
            if self.revision is None:
                self.revision = frame["revision"]
        assert self.unread_count is not None, "hello comes first"
        assert self.revision is not None
        if kind == "inbox":
            self._apply_inbox(frame)
        elif kind == "synced":
            assert frame["revision"] >= self.revision
            self.revision, self.unread_count, self.synced = frame["revision"], frame["unread_count"], True
        elif kind == "reset":
            self.revision, self.unread_count, self.synced = frame["revision"], frame["unread_count"], True
            self.rows.clear()
        elif kind == "presence_state":
            self.presence = {entry["user"]["username"]: entry for entry in frame["online"]}
        elif kind == "presence":
            known = self.presence.get(frame["user"]["username"])
            if known is None or known["version"] < frame["version"]:
                self.presence[frame["user"]["username"]] = frame

    def _apply_inbox(self, frame: dict[str, Any]) -> None:
        assert self.revision is not None
        if frame["replayed"]:
            self.synced = False
            assert frame["revision"] > self.revision, "a replay goes in rising revisions"
        else:
            assert self.synced, "nothing is live before synced"
            assert frame["revision"] == self.revision + 1, "live frames go one by one"
        for row in frame["added"]:
            known = self.rows.get(row["id"])
            self.rows[row["id"]] = row["is_read"]
            if frame["replayed"] and known is not None and known != row["is_read"]:
                # Marked since it was told, and a replay tells rows, not changes: nothing new.
                continue
            self.added[row["id"]] += 1
            self.titles.append(row["title"])
        self.rows.update({pk: True for pk in frame["read"] if pk in self.rows})
        self.rows.update({pk: False for pk in frame["unread"] if pk in self.rows})
        for pk in frame["removed"]:
            self.rows.pop(pk, None)
        self.revision, self.unread_count = frame["revision"], frame["unread_count"]


class WebSocketClient(Copy):
    """One connection, and its client's copy of the inbox."""

    def __init__(
        self,
        query: str = "",
        headers: list[tuple[bytes, bytes]] | None = None,
        subprotocols: list[str] | None = None,
        since: int | None = None,
        send_queue_size: int = 0,
    ) -> None:
        """`send_queue_size`: how many frames fit before the server's `send` blocks; 0 means any number."""
        super().__init__(since)
        path = PATH + (f"?{query}" if query else "")
        self.communicator = WebsocketCommunicator(
            URLRouter(websocket_urlpatterns), path, headers, subprotocols
        )
        self.communicator._output_queue = asyncio.Queue(send_queue_size)

    async def open(self) -> str | None:
        """Shake hands. Returns the subprotocol."""
        accepted, subprotocol = await self.communicator.connect(timeout=TIMEOUT)
        assert accepted, "the handshake was refused"
        return str(subprotocol) if subprotocol else None

    async def receive_event(self) -> dict[str, Any]:
        """Return what the server does next: a frame or a close."""
        return await self.communicator.receive_output(timeout=TIMEOUT)

    async def next(self) -> dict[str, Any]:
        """Return the next frame, applied."""
        message = await self.receive_event()
        assert message["type"] == "websocket.send", message
        assert len(message["text"].encode()) <= 512 * 1024
        frame: dict[str, Any] = json.loads(message["text"])
        self.apply(frame)
        return frame

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames up to the next of a type, which is the last."""
        frames = [await self.next()]
        while frames[-1]["type"] != kind:
            frames.append(await self.next())
        return frames

    async def until_revision(self, revision: int) -> list[dict[str, Any]]:
        """Return the frames until the copy has come so far and is up to date."""
        frames = []
        while self.revision is None or self.revision < revision or not self.synced:
            frames.append(await self.next())
        return frames

    async def received_so_far(self) -> list[dict[str, Any]]:
        """Return what the server has sent already, by asking it something after that."""
        ref = f"fence {id(object())}"
        await self.send_command(type="ping", ref=ref)
        frames = await self.until("pong")
        assert frames.pop()["ref"] == ref
        return frames

    async def send_command(self, **command: Any) -> None:
        await self.communicator.send_json_to(command)

    async def close_code(self) -> int:
        """Return the code with which the server closes, whatever it says before."""
        while (message := await self.receive_event())["type"] != "websocket.close":
            assert message["type"] == "websocket.send", message
        return int(message.get("code", 1000))

    async def disconnect(self, code: int = 1000) -> None:
        """Close it as the client, if the server hasn't."""
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
    """Notify a user, in a revision for each title. Returns the ids."""
    ids = []
    for title in titles:
        ids += notify_titles(user, title)
        assign_revisions([user.pk])
    return ids


async def eventually(condition, *args):
    """Wait until something holds. `condition` runs on the loop; see `eventually_in_database`."""
    deadline = time.monotonic() + TIMEOUT
    while not condition(*args):
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.01)


async def eventually_in_database(condition, *args):
    deadline = time.monotonic() + TIMEOUT
    while not await in_thread(condition, *args):
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.02)
