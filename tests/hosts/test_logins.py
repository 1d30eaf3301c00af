"""Logins that aren't Doorbell's: docs/logins.md followed to the letter, with JWTs, to the frame of a toast."""

import time
from collections.abc import Callable

import pytest

from conftest import size
from tests.hosts.project import FILE, HostProject
from tests.hosts.visitor import PASSWORD, Visitor, serving
from tests.live.servers import ROOT

PAGE = (ROOT / "docs/logins.md").read_text()
# Nothing of Doorbell's is open.
CLOSED = (
    # Another process deletes the user, and the layer in memory brings no recheck from it.
    "REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0\nREALTIME_RECHECK_SECONDS = 1\n"
    "DEBUG = False\nALLOWED_HOSTS = ['localhost']\n"
)
OURS = "http://localhost"
DEACTIVATE = """
from django.contrib.auth.models import User
User.objects.get(username="ada").{how}
"""
SHORT = """
from datetime import timedelta
SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(seconds=2)}
"""


def follow(project: HostProject) -> HostProject:
    for name, continued, text in FILE.findall(PAGE):
        project.write(name, text, append=bool(continued))
    return project


def bearer_of(visitor: Visitor, name: str) -> dict[str, str]:
    status, tokens = visitor.call("POST", "/token/", {"username": name, "password": PASSWORD})
    assert status == 200, tokens
    return {"Authorization": f"Bearer {tokens['access']}"}


def test_a_jwt_opens_calls_and_sockets_and_its_user_is_rechecked(host: Callable[..., HostProject]) -> None:
    project = follow(host(CLOSED))
    project.manage("check")
    project.manage("makemigrations", "--check")
    with serving(project) as server:
        # A device without any cookie.
        ada, grace, thief = Visitor(server), Visitor(server), Visitor(server)
        jwt, hers = bearer_of(ada, "ada"), bearer_of(grace, "grace")
        assert ada.call("GET", "/api/v1/session", **jwt)[1]["user"]["username"] == "ada"
        assert thief.call("GET", "/api/v1/notifications")[0] == 401
        forged = {"Authorization": jwt["Authorization"][:-4] + "AAAA"}
        assert thief.call("POST", "/api/v1/ticket", {}, **forged)[0] == 401
        with (
            ada.socket(OURS, ticket=ada.call("POST", "/api/v1/ticket", {}, **jwt)[1]["ticket"]) as socket,
            grace.socket(OURS, ticket=grace.call("POST", "/api/v1/ticket", {}, **hers)[1]["ticket"]) as other,
        ):
            assert socket.hello["user"]["username"] == "ada"
            project.manage("notify", "ada", "It rings", "From my own project.")
            while (frame := socket.next())["type"] != "inbox":
                pass
            (added,) = frame["added"]
            assert added["title"] == "It rings"
            read = ("POST", "/api/v1/notifications/read", {"ids": [added["id"]]})
            assert ada.call(*read, **jwt)[1]["unread_count"] == 0
            project.shell(DEACTIVATE.format(how="delete()"))
            assert socket.close_code() == 4503
            assert ada.call("GET", "/api/v1/notifications", **jwt)[0] == 401
            assert other.hello["user"]["username"] == "grace"
            assert grace.call("GET", "/api/v1/notifications", **hers)[0] == 200
            # What is closed is closed to every login.
            assert grace.call("GET", "/api/v1/users", **hers)[0] == 404
    assert "DOORBELL_AUTHENTICATE" not in project.log.read_text()


def test_an_expired_jwt_is_refused_and_no_error_of_the_server(host: Callable[..., HostProject]) -> None:
    project = follow(host(CLOSED + SHORT))
    with serving(project) as server:
        ada = Visitor(server)
        jwt = bearer_of(ada, "ada")
        deadline = time.monotonic() + 60
        while (answer := ada.call("GET", "/api/v1/notifications", **jwt))[0] == 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert (answer[0], answer[1]["code"]) == (401, "not_signed_in")
    assert "Traceback" not in project.log.read_text()


@pytest.mark.parametrize("engine", ["cache", "cached_db", "signed_cookies"][: size(1, full=3)])
def test_a_session_that_the_project_began_gets_the_toasts_frame(
    host: Callable[..., HostProject], engine: str
) -> None:
    """By the project's own login page, while Doorbell's sign-in is off."""
    project = host(
        f"{CLOSED}SESSION_ENGINE = 'django.contrib.sessions.backends.{engine}'\n"
        "CACHES = {'default': {'BACKEND': 'django.core.cache.backends.filebased.FileBasedCache', "
        "'LOCATION': BASE_DIR / 'cache'}}\n",
        {"mysite/login.py": VIEW},
    )
    project.write(
        "mysite/urls.py",
        'from mysite.login import enter\nurlpatterns += [path("enter/", enter)]',
        append=True,
    )
    with serving(project) as server:
        ada = Visitor(server)
        assert ada.call("POST", "/api/v1/session", {"username": "ada", "password": PASSWORD})[0] == 404
        assert ada.call("GET", "/enter/")[0] == 200
        session = ada.call("GET", "/api/v1/session")[1]
        assert session["user"]["username"] == "ada"
        ada.csrf_token = session["csrf_token"]
        with ada.socket(OURS) as socket:
            project.manage("notify", "ada", "It rings")
            while (frame := socket.next())["type"] != "inbox":
                pass
            assert frame["added"][0]["title"] == "It rings"
        assert ada.call("POST", "/api/v1/notifications/read", {"all": True})[0] == 200


VIEW = """
from django.contrib.auth import get_user_model, login
from django.http import HttpResponse
def enter(request):
    login(request, get_user_model().objects.get(username="ada"), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")
"""
