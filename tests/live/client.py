"""A client made from docs/protocol.md alone. It holds the server to it: each frame is checked, then applied.

`Person` is somebody signed in over HTTP; `Tab` is one of their sockets, with the inbox that a page would show.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

SUBPROTOCOL = "notifications.v1"
LARGEST_FRAME = 512 * 1024
CSRF = "c" * 32
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

FIELDS = {
    "hello": {
        *("protocol", "connection_id", "user", "epoch", "revision", "unread_count", "resumed"),
        *("heartbeat_seconds", "server_time"),
    },
    "presence_state": {"online"},
    "inbox": {"revision", "unread_count", "replayed"},
    "synced": {"revision", "unread_count"},
    "reset": {"revision", "unread_count", "reason"},
    "presence": {"user", "is_online", "last_seen", "version"},
    "heartbeat": {"revision", "unread_count", "server_time"},
    "pong": {"ref"},
    "error": {"code", "detail", "ref"},
}
NOTIFICATION = {
    *("id", "notification_type", "title", "description", "level", "is_read", "created_at", "actor"),
    *("message_id", "url"),
}
REASONS = {"new_epoch", "unknown_revision", "history_removed", "too_far_behind"}
ERRORS = {"bad_json", "unknown_type", "bad_request", "not_allowed"}


class Refused(AssertionError):
    """A call was answered otherwise than the test expected."""


class Ended(AssertionError):
    """A socket ended before what the test waited for had come."""


class Person:
    """Somebody signed in at one server. `session` is their login's key; without it they are nobody yet."""

    def __init__(self, base_url: str, *, id: int = 0, username: str = "", session: str = "") -> None:  # noqa: A002
        self.id, self.username, self.session = id, username, session
        self.base_url = base_url
        self.tabs: list[Tab] = []
        cookies = {"csrftoken": CSRF} | ({"sessionid": session} if session else {})
        self.http = httpx.AsyncClient(
            base_url=f"{base_url}/api/v1/",
            cookies=cookies,
            headers={"X-CSRFToken": CSRF},
            timeout=30,
            trust_env=False,
            verify=False,  # there is no TLS here, and reading the system's certificates takes longer than a test
        )

    async def close(self) -> None:
        for tab in self.tabs:
            await tab.close()
        await self.http.aclose()

    async def call(self, method: str, path: str, expected: int = 200, **options: Any) -> Any:
        """Call the API; returns the JSON of an answer that has the expected status."""
        answer = await self.http.request(method, path, **options)
        if answer.status_code != expected:
            raise Refused(f"{method} {path}: {answer.status_code} instead of {expected}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    async def sign_in(self, username: str, password: str) -> None:
        known = await self.call("POST", "session", json={"username": username, "password": password})
        self.id, self.username = known["user"]["id"], known["user"]["username"]
        self.session = self.http.cookies["sessionid"]
        self.http.headers["X-CSRFToken"] = known["csrf_token"]

    async def write_to(self, other: "Person", content: str = "Hello!") -> int:
        """Send a message; returns its id."""
        body = {"receiver": other.username, "content": content}
        return int((await self.call("POST", "messages", 201, json=body))["id"])

    async def inbox(self) -> "Inbox":
        """Read the whole list: what a page that starts now shows."""
        inbox, before = Inbox(), ""
        while True:
            page = await self.call("GET", f"notifications?limit=200{before}")
            if not before:
                inbox.epoch = page["epoch"]
                inbox.revision, inbox.unread_count = page["revision"], page["unread_count"]
            for item in page["items"]:
                check_notification(item)
                inbox.items.setdefault(item["id"], item)
            if page["next"] is None:
                return inbox
            before = f"&before={page['next']}"

    async def readyz(self, status: str, database: str = "ok", layer: str = "ok", seconds: float = 30) -> int:
        """Wait until /readyz says this; returns the HTTP status. (A busy machine's database may seem down for once.)"""
        expected = {"status": status, "database": database, "layer": layer}
        deadline = time.monotonic() + seconds
        while (answer := await self.http.get(f"{self.base_url}/readyz")).json() != expected:
            assert time.monotonic() < deadline, f"/readyz says {answer.status_code}: {answer.text}"
            await asyncio.sleep(0.05)
        return answer.status_code

    async def presence_of(self, other: "Person") -> dict[str, Any] | None:
        items = (await self.call("GET", "presence"))["items"]
        return next((item for item in items if item["user"]["id"] == other.id), None)

    async def socket(
        self,
        path: str = "/ws/notifications/",
        *,
        origin: str | None = "",
        subprotocols: tuple[str, ...] = (SUBPROTOCOL,),
        headers: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> ClientConnection:
        """Open a bare socket. `origin`: the server's own unless given."""
        cookie = [("Cookie", f"sessionid={self.session}")] if self.session else []
        return await connect(
            self.base_url.replace("http", "ws", 1) + path,
            origin=self.base_url if origin == "" else origin,  # type: ignore[arg-type]
            additional_headers=[*cookie, *headers],
            subprotocols=subprotocols or None,  # type: ignore[arg-type]
            open_timeout=20,
            close_timeout=5,
            ping_interval=None,
            max_size=8 * LARGEST_FRAME,
            proxy=None,
            compression=None,
            **options,
        )

    async def tab(self) -> "Tab":
        """Open a page: it reads the list, then connects from there."""
        tab = Tab(self)
        self.tabs.append(tab)
        await tab.open()
        return tab


class Inbox:
    """A client's copy of an inbox, by the contract's rules of applying."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.revision = 0
        self.unread_count = 0
        self.items: dict[int, dict[str, Any]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inbox) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        read = {pk: item["is_read"] for pk, item in sorted(self.items.items())}
        return f"<epoch {self.epoch}, revision {self.revision}, {self.unread_count} unread, read: {read}>"

    @property
    def unread(self) -> int:
        return sum(not item["is_read"] for item in self.items.values())

    def apply(self, frame: dict[str, Any]) -> None:
        for item in frame.get("added", []):
            self.items[item["id"]] = dict(item)
        for pk in frame.get("read", []):
            if pk in self.items:
                self.items[pk]["is_read"] = True
        for pk in frame.get("unread", []):
            if pk in self.items:
                self.items[pk]["is_read"] = False
        for pk in frame.get("removed", []):
            self.items.pop(pk, None)
        self.revision, self.unread_count = frame["revision"], frame["unread_count"]


class Tab:
    """One page. After `drop` (or whatever ended its socket) `open` resumes from the revision it holds."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.inbox = Inbox()
        self.frames: list[dict[str, Any]] = []
        # How often each notification was in `added`, over all connections.
        self.times_added: Counter[int] = Counter()
        self.resets = 0
        # What is known of people, by user id, and every change of it that had a higher version.
        self.people: dict[int, dict[str, Any]] = {}
        self.presence_log: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self._exact = False
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self._changed = asyncio.Event()
        self._fault: BaseException | None = None
        # The revision from which it asked to be caught up, until it is.
        self._asked: int | None = None
        self._begin()

    # --- Being used ---------------------------------------------------------------------------------------

    async def open(self, **options: Any) -> Self:
        """Connect, from what it holds; returns when the catch-up is complete."""
        if self.inbox.epoch is None:
            await self._load()
            self._exact = not self.inbox.items and not self.inbox.revision
        self._begin()
        self._asked = self.inbox.revision
        path = f"/ws/notifications/?since={self.inbox.revision}&epoch={self.inbox.epoch}"
        # A small queue: a tab that is paused stops reading from the network, too.
        self._socket = await self.person.socket(path, max_queue=4, **options)
        assert self._socket.subprotocol == SUBPROTOCOL
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.until(lambda tab: tab.live, what="synced or reset")
        return self

    async def reopen(self, seconds: float = 30) -> Self:
        """Connect again, however often the server refuses."""
        deadline = time.monotonic() + seconds
        while True:
            await self.drop()
            try:
                return await self.open()
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, Ended):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def drop(self) -> None:
        """Be gone without a word, as a train in a tunnel."""
        if self._socket is not None:
            self.transport.abort()
        await self._end()
        self._raise_fault()

    async def close(self) -> None:
        if self._socket is not None:
            self._reading.set()
            await self._socket.close()
        await self._end()
        self._raise_fault()

    async def _end(self) -> None:
        self._reading.set()
        if self._reader is not None:
            await asyncio.wait({self._reader})
        self._socket = self._reader = None
        self.live = False

    @property
    def transport(self) -> asyncio.Transport:
        assert self._socket is not None
        return self._socket.transport

    def pause_reading(self) -> None:
        """Stop reading, a few frames later. (What the network holds is read until then.)"""
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    async def send(self, **command: Any) -> None:
        assert self._socket is not None
        if command.get("type") == "resume":
            self._asked = command["since"]
        await self._socket.send(json.dumps(command))

    async def until(self, condition: Callable[["Tab"], Any], seconds: float = 20, what: str = "") -> Any:
        """Wait until the condition holds; returns what it returned. Fails at once if the socket ends before."""
        deadline = time.monotonic() + seconds
        while True:
            self._changed.clear()
            self._raise_fault()
            if result := condition(self):
                return result
            if self._reader is None or self._reader.done():
                raise Ended(f"the socket ended with {self.close_code} before {what or 'what was waited for'}")
            left = deadline - time.monotonic()
            assert left > 0, (
                f"{what or 'it'} didn't come within {seconds} s; {self.inbox}; {self.frames[-3:]}"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    async def until_shows(
        self, *, unread: int | None = None, messages: int | None = None, seconds: float = 20
    ) -> None:
        """Wait until the badge and the number of messages told are these."""
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
        self._raise_fault()
        return self.close_code

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The notifications of messages: people who come and go make others, whenever that becomes known."""
        found = (item for _, item in sorted(self.inbox.items.items()))
        return [item for item in found if item["notification_type"] == "new_message"]

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def until_consistent(self, seconds: float = 20) -> "Inbox":
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

    def sees_online(self, other: Person) -> bool:
        return bool(self.people.get(other.id, {}).get("is_online"))

    # --- Reading ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.live = False
        self.close_code = None
        self._greeting = 0
        self._hello: dict[str, Any] = {}
        # Between hello and the end of the first catch-up.
        self._greeted = False
        # The last revision sent on this connection, and the last one of the replay that is under way.
        self._cursor = self._run = 0
        self._replaying = False
        self._in_this_run: set[int] = set()

    async def _load(self) -> None:
        self.inbox = await self.person.inbox()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._reading.wait()
                await self._take(await socket.recv())
        except ConnectionClosed:
            self.close_code = socket.close_code
        except BaseException as error:
            # Raised where the test waits.
            self._fault = error
        finally:
            self.live = False
            self._changed.set()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    async def _take(self, text: str | bytes) -> None:
        assert isinstance(text, str), "a binary frame"
        assert len(text.encode()) <= LARGEST_FRAME, f"a frame of {len(text.encode())} bytes"
        frame = json.loads(text)
        kind = frame["type"]
        assert kind in FIELDS, f"unknown frame {frame}"
        assert FIELDS[kind] <= frame.keys(), f"fields are missing: {frame}"
        self._greeting += 1
        expected = {1: "hello", 2: "presence_state"}.get(self._greeting)
        assert (kind == expected) if expected else kind not in ("hello", "presence_state"), (
            f"{kind} as number {self._greeting}"
        )
        await getattr(self, f"_take_{kind}")(frame)
        self.frames.append(frame)
        self._changed.set()

    async def _take_hello(self, frame: dict[str, Any]) -> None:
        assert frame["protocol"] == 1
        assert frame["user"] == {"id": self.person.id, "username": self.person.username}
        assert TIME.fullmatch(frame["server_time"])
        assert frame["revision"] >= 0
        self._hello, self._greeted = frame, True
        if frame["epoch"] == self.inbox.epoch:
            assert frame["revision"] >= self.inbox.revision, "the inbox went back"
            self._check_count(frame, frame["revision"] == self.inbox.revision)

    async def _take_presence_state(self, frame: dict[str, Any]) -> None:
        for known in self.people.values():
            known["is_online"] = False
        for entry in frame["online"]:
            assert entry["is_online"] is True
            self.people[entry["user"]["id"]] = dict(entry)

    async def _take_presence(self, frame: dict[str, Any]) -> None:
        known = self.people.get(frame["user"]["id"])
        if known is None or frame["version"] > known["version"]:
            self.people[frame["user"]["id"]] = dict(frame)
            self.presence_log.append(frame)

    async def _take_inbox(self, frame: dict[str, Any]) -> None:
        lists = [frame.get(name, []) for name in ("added", "read", "unread", "removed")]
        for item in lists[0]:
            check_notification(item)
        touched = [item["id"] for item in lists[0]] + lists[1] + lists[2] + lists[3]
        assert touched, f"an empty revision: {frame}"
        assert len(touched) == len(set(touched)), f"a row twice in one frame: {frame}"
        if frame["replayed"]:
            self._check_replay(frame, touched)
        else:
            assert self.live, f"live before synced: {frame}"
            assert frame["revision"] == self._cursor + 1, f"{self._cursor}, then {frame['revision']}"
            assert len(touched) <= 100
        self._cursor = frame["revision"]
        if frame["replayed"] or frame["revision"] > self.inbox.revision:
            self.times_added.update(item["id"] for item in lists[0])
            self.inbox.apply(frame)
            self._check_count(frame, not frame["replayed"])

    def _check_replay(self, frame: dict[str, Any], touched: list[int]) -> None:
        if not self._replaying:
            self._replaying, self.live = True, False
            self._run = self._cursor if self._asked is None else self._asked
            self._in_this_run = set()
        assert frame["revision"] > self._run, (
            f"a replay that doesn't rise: {self._run}, then {frame['revision']}"
        )
        self._run = frame["revision"]
        assert not frame.get("read"), "a replay tells rows, not changes"
        assert not frame.get("unread"), "a replay tells rows, not changes"
        assert not self._in_this_run & set(touched), "a row twice in one replay"
        self._in_this_run |= set(touched)

    async def _take_synced(self, frame: dict[str, Any]) -> None:
        assert frame["revision"] >= max(self._cursor, self._hello["revision"]), "synced goes back"
        self._end_run(frame, resumed=True)
        self.inbox.epoch = self._hello["epoch"]
        self.inbox.revision, self.inbox.unread_count = frame["revision"], frame["unread_count"]
        self._check_count(frame, True)

    async def _take_reset(self, frame: dict[str, Any]) -> None:
        assert frame["reason"] in REASONS
        self.resets += 1
        self._exact = False
        self._end_run(frame, resumed=False)
        await self._load()
        assert self.inbox.revision >= frame["revision"]

    def _end_run(self, frame: dict[str, Any], *, resumed: bool) -> None:
        if self._greeted:
            self._greeted = False
            assert self._hello["resumed"] is resumed
        self._cursor = frame["revision"]
        self._replaying, self._asked, self.live = False, None, True

    async def _take_heartbeat(self, frame: dict[str, Any]) -> None:
        assert TIME.fullmatch(frame["server_time"])
        if self.live:
            assert frame["revision"] == self._cursor, f"{frame} on a connection at {self._cursor}"

    async def _take_pong(self, frame: dict[str, Any]) -> None:
        assert isinstance(frame["ref"], str)

    async def _take_error(self, frame: dict[str, Any]) -> None:
        assert frame["code"] in ERRORS

    def _check_count(self, frame: dict[str, Any], whole: bool) -> None:
        """The badge, when the state is known to be whole, and the frame to be about this state."""
        if self._exact and whole:
            assert frame["unread_count"] == self.inbox.unread, f"the badge is wrong: {frame}; {self.inbox}"


def check_notification(item: dict[str, Any]) -> None:
    assert NOTIFICATION <= item.keys(), f"fields are missing: {item}"
    assert item["level"] in ("info", "success", "warning", "error")
    assert isinstance(item["is_read"], bool)
    assert TIME.fullmatch(item["created_at"]), item["created_at"]
    assert item["actor"] is None or item["actor"].keys() >= {"id", "username"}
