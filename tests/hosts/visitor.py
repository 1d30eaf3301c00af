"""Who visits a project: HTTP with cookies, a socket, and a server to visit."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.hosts.project import HostProject, migrated
from tests.live.servers import Server

SECONDS = 20.0
PASSWORD = "a-password-of-hers"
PEOPLE = f"""
from django.contrib.auth import get_user_model
for name in ("ada", "grace"):
    get_user_model().objects.create_user(name, password={PASSWORD!r})
"""
MIGRATE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""
QUICK = (
    "REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0\nDEBUG = False\nALLOWED_HOSTS = ['localhost']\n"
    "DOORBELL_USERS = DOORBELL_MESSAGES = DOORBELL_SESSION = True\n"
)


class Visitor:
    """A browser that needs no JavaScript: cookies, CSRF token, JSON."""

    def __init__(self, server: Server, host: str = "localhost", **headers: str) -> None:
        self.server, self.headers = server, {"Host": host, **headers}
        self.csrf_token = ""
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(), _NoRedirect
        )
        self.cookie = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        sent = self.headers | {"X-CSRFToken": self.csrf_token, "Cookie": self.cookie} | headers
        request = urllib.request.Request(f"{self.server.url}{path}", data, sent, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read()
            cookies = [value.partition(";")[0] for value in answer.headers.get_all("Set-Cookie") or []]
        kept = dict(pair.split("=", 1) for pair in [*self.cookie.split("; "), *cookies] if "=" in pair)
        self.cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
        return answer.status, json.loads(text) if text.startswith(b"{") else text

    def sign_in(self, name: str = "ada") -> None:
        status, answer = self.call("POST", "/api/v1/session", {"username": name, "password": PASSWORD})
        assert status == 200, answer
        self.csrf_token = answer["csrf_token"]

    def hello(self, origin: str, *, ticket: str = "") -> dict[str, Any]:
        """Open a socket, by the cookie or a ticket; return its first frame."""
        with self.socket(origin, ticket=ticket) as opened:
            return opened.hello

    @contextmanager
    def socket(self, origin: str, *, ticket: str = "") -> Iterator["Socket"]:
        protocols = [Subprotocol("notifications.v1"), *([Subprotocol(f"ticket.{ticket}")] if ticket else [])]
        headers = self.headers | ({} if ticket else {"Cookie": self.cookie})
        with connect(
            f"ws://{self.headers['Host']}/ws/notifications/",
            sock=socket.create_connection(("127.0.0.1", self.server.port)),
            origin=Origin(origin),
            subprotocols=protocols,
            additional_headers={name: value for name, value in headers.items() if name != "Host"},
        ) as connection:
            yield Socket(connection)


class Socket:
    """An open socket that has received its first frame."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.hello: dict[str, Any] = self.next()

    def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(SECONDS))
        return frame

    def close_code(self) -> int:
        """Read on until the server closes, in time; return its code."""
        deadline = time.monotonic() + SECONDS
        try:
            while time.monotonic() < deadline:
                self.connection.recv(SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"open after {SECONDS} s")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def set_up(project: HostProject, people: str = PEOPLE, *, from_nothing: bool = False) -> str:
    """Migrate, and make people: in one process, for each start takes a second. Returns what it printed.

    `from_nothing`: with all migrations; else an SQLite file has those of a plain project, and gets this one's own.
    """
    if not from_nothing and project.on_sqlite:
        shutil.copy(migrated(project.folder.parent.parent), project.folder)
    return project.shell(MIGRATE + people)


@contextmanager
def serving(project: HostProject, *, from_nothing: bool = False) -> Iterator[Server]:
    set_up(project, from_nothing=from_nothing)
    server = project.start()
    try:
        yield server
    finally:
        server.kill()
