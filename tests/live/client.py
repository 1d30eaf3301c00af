"""A user of the API, signed in at one server, made from docs/protocol.md alone. Their sockets are in tab.py."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.inbox_replica import InboxReplica

from .frame_format import MAX_FRAME_BYTES, check_notification
from .tab import SUBPROTOCOL, Tab

CSRF = "c" * 32


class UnexpectedStatus(AssertionError):
    """A call was answered with another status than the test expected."""


class Person:
    """A user at one server. `session`: the key of their login; without it they are not signed in."""

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
            raise UnexpectedStatus(
                f"{method} {path}: {answer.status_code} instead of {expected}: {answer.text[:500]}"
            )
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

    async def inbox(self) -> InboxReplica:
        """Read the whole list: what a page that starts now shows."""
        inbox, before = InboxReplica(), ""
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
            max_size=8 * MAX_FRAME_BYTES,
            proxy=None,
            compression=None,
            **options,
        )

    async def tab(self) -> Tab:
        """Open a page: it reads the list, then connects from there."""
        tab = Tab(self)
        self.tabs.append(tab)
        await tab.open()
        return tab
