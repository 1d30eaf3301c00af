"""Settings of a project's own that decide how it is reached, who may enter, and where its rows are."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import HostProject
from tests.live.servers import Server

PASSWORD = "a-password-of-hers"
PEOPLE = f"""
from django.contrib.auth import get_user_model
for name in ("ada", "grace"):
    get_user_model().objects.create_user(name, password={PASSWORD!r})
"""
TOKEN = """
from messaging import tokens
print(tokens.make("publisher", can_publish=True)[1])
"""
QUICK = (
    "REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0\nDEBUG = False\nALLOWED_HOSTS = ['localhost']\n"
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
        protocols = [Subprotocol("notifications.v1"), *([Subprotocol(f"ticket.{ticket}")] if ticket else [])]
        headers = self.headers | ({} if ticket else {"Cookie": self.cookie})
        with connect(
            f"ws://{self.headers['Host']}/ws/notifications/",
            sock=socket.create_connection(("127.0.0.1", self.server.port)),
            origin=Origin(origin),
            subprotocols=protocols,
            additional_headers={name: value for name, value in headers.items() if name != "Host"},
        ) as opened:
            frame: dict[str, Any] = json.loads(opened.recv(20))
            return frame


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


@contextmanager
def serving(project: HostProject) -> Iterator[Server]:
    project.manage("migrate")
    project.shell(PEOPLE)
    server = project.start()
    try:
        yield server
    finally:
        server.kill()


def test_login_required_middleware_leaves_our_own_doors_open(host: Callable[..., HostProject]) -> None:
    middleware = "MIDDLEWARE += ['django.contrib.auth.middleware.LoginRequiredMiddleware']\n"
    project = host(QUICK + middleware)
    with serving(project) as server:
        token = project.shell(TOKEN).strip()
        visitor = Visitor(server)
        assert visitor.call("GET", "/api/v1/session")[0] == 200
        assert visitor.call("GET", "/api/v1/notifications")[0] == 401
        assert visitor.call("GET", "/api/v1/openapi.json")[0] == 200
        assert visitor.call("GET", "/api/v1/nowhere")[0] == 404
        for path in ("/healthz", "/readyz", "/metrics"):
            assert visitor.call("GET", path)[0] == 200, path
        item = {"user": "ada", "notification_type": "announcement", "title": "It rings"}
        assert visitor.call("POST", "/api/v1/publish", item, Authorization=f"Bearer {token}")[0] == 202
        # The control: the project's own page asks for a login.
        assert visitor.call("GET", "/")[0] == 302
        visitor.sign_in()
        assert visitor.hello("http://localhost")["unread_count"] == 1


def test_probes_are_answered_whatever_the_host_and_the_scheme(host: Callable[..., HostProject]) -> None:
    project = host(QUICK + "SECURE_SSL_REDIRECT = True\nPREPEND_WWW = True\n")
    with serving(project) as server:
        by_address = Visitor(server, host="10.1.2.3:8000")
        for path in ("/healthz", "/readyz", "/metrics"):
            assert by_address.call("GET", path)[0] == 200, path
            assert by_address.call("HEAD", path) == (200, b"")
        # The control: everything else is refused under this host, and redirected under the right one.
        assert by_address.call("GET", "/api/v1/session")[0] == 400
        assert Visitor(server).call("GET", "/api/v1/session")[0] == 301


def test_a_proxy_that_rewrites_host_is_believed_where_django_believes_it(
    host: Callable[..., HostProject],
) -> None:
    project = host(QUICK + "USE_X_FORWARDED_HOST = True\nALLOWED_HOSTS = ['app.example', 'localhost']\n")
    with serving(project) as server:
        visitor = Visitor(server, **{"X-Forwarded-Host": "app.example"})
        visitor.sign_in()
        assert visitor.hello("http://app.example")["user"]["username"] == "ada"
        with pytest.raises(InvalidStatus):
            visitor.hello("http://localhost")
    assert "add it to REALTIME_ORIGINS" in project.log.read_text()


REPLICA = """
class Replica:
    def db_for_read(self, model, **hints): return "replica"
    def db_for_write(self, model, **hints): return "default"
    def allow_relation(self, one, other, **hints): return True
    def allow_migrate(self, db, app_label, **hints): return db == "default"
"""


@pytest.mark.skipif(ON_POSTGRESQL, reason="a replica is a copied file")
def test_reads_by_a_router_from_a_replica_are_refused_and_ours_can_be_kept_out(
    host: Callable[..., HostProject],
) -> None:
    """The replica is empty, as one is that is behind by more than the project's age."""
    routed = """
DATABASES["replica"] = {**DATABASES["default"], "NAME": BASE_DIR / "replica.sqlite3"}
DATABASE_ROUTERS = ["mysite.routers.Replica"]
"""
    project = host(QUICK + routed, {"mysite/routers.py": REPLICA})
    refused = project.manage("check", check=False)
    assert "messaging.E004" in refused.stderr
    assert "messaging.routers.DefaultDatabase" in refused.stderr
    project.write(
        "mysite/settings.py", "DATABASE_ROUTERS.insert(0, 'messaging.routers.DefaultDatabase')", append=True
    )
    with serving(project) as server:
        project.manage("notify", "ada", "It rings")
        visitor = Visitor(server)
        visitor.sign_in()
        rows = visitor.call("GET", "/api/v1/notifications")[1]["items"]
        marked = visitor.call("POST", "/api/v1/notifications/read", {"ids": [row["id"] for row in rows]})[1]
        assert (marked["unread_count"], len(marked["ids"])) == (0, 1)
        ticket = visitor.call("POST", "/api/v1/ticket", {})[1]["ticket"]
        assert visitor.hello("http://localhost", ticket=ticket)["unread_count"] == 0


def test_times_without_a_zone_are_refused(host: Callable[..., HostProject]) -> None:
    refused = host("USE_TZ = False\nTIME_ZONE = 'America/New_York'").manage("check", check=False)
    assert "messaging.E003" in refused.stderr
    assert "USE_TZ = True" in refused.stderr
