"""Settings of a project's own that decide how it is reached, who may enter, and where its rows are."""

from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from conftest import size
from tests.hosts.project import HostProject
from tests.hosts.visitor import QUICK, Visitor, serving

TOKEN = """
from messaging import tokens
print(tokens.make("publisher", can_publish=True)[1])
"""


def test_login_required_middleware_exempts_our_own_views(host: Callable[..., HostProject]) -> None:
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
        by_port = Visitor(server, **{"X-Forwarded-Host": "app.example", "X-Forwarded-Port": "8443"})
        by_port.sign_in()
        with pytest.raises(InvalidStatus):
            by_port.hello("http://app.example:8443")
    assert "add it to REALTIME_ORIGINS" in project.log.read_text()


def test_times_without_a_zone_are_refused(host: Callable[..., HostProject]) -> None:
    refused = host("USE_TZ = False\nTIME_ZONE = 'America/New_York'").manage("check", check=False)
    assert "messaging.E003" in refused.stderr
    assert "USE_TZ = True" in refused.stderr


# In `make test` the first two.
HEADERS = [
    ("CSRF_COOKIE_NAME = 'XSRF-TOKEN'\nCSRF_HEADER_NAME = 'HTTP_X_XSRF_TOKEN'", "X-Xsrf-Token"),
    ("CSRF_USE_SESSIONS = True\nSESSION_COOKIE_NAME = 'mine'", "X-CSRFToken"),
    ("", "X-CSRFToken"),
    ("CSRF_COOKIE_HTTPONLY = True\nCSRF_HEADER_NAME = 'HTTP_X_MY_TOKEN'", "X-My-Token"),
]


@pytest.mark.parametrize(("lines", "header"), HEADERS[: size(2, full=4)])
def test_the_server_names_the_header_of_the_csrf_token(
    host: Callable[..., HostProject], lines: str, header: str
) -> None:
    project = host(f"{QUICK}{lines}")
    with serving(project) as server:
        ada = Visitor(server)
        ada.sign_in()
        ada.csrf_token, token = "", ada.csrf_token
        change = ("POST", "/api/v1/notifications/read", {"all": True})
        assert ada.call(*change)[0] == 403
        _, session = ada.call("GET", "/api/v1/session")
        assert session["csrf_header"] == header
        for known in (token, session["csrf_token"]):
            assert ada.call(*change, **{session["csrf_header"]: known})[0] == 200
        _, document = ada.call("GET", "/api/v1/openapi.json")
        assert document["components"]["securitySchemes"]["CsrfToken"]["name"] == header
