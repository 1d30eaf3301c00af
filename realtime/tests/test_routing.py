"""Sockets below a script prefix, whether the proxy has stripped it or not, and beside a project's own routes."""

import pytest
from django.urls import URLPattern, path

from realtime.sockets import routing

APP = {"root_path": "/app"}


@pytest.fixture
def reached(monkeypatch):
    """Who serves a handshake: "ours", "theirs", or None."""

    def named(name):
        async def application(scope, receive, send):
            send.append(name)

        return application

    ours = URLPattern(routing.SocketPattern(""), named("ours"))
    monkeypatch.setattr(routing, "websocket_urlpatterns", [ours])
    router = routing.router([path("ws/chat/", named("theirs"))])

    async def reach(path, **scope):
        served: list[str] = []
        try:
            await router({"type": "websocket", "path": path, **scope}, None, served)
        except TypeError:
            # The refusal of an unknown path, which finds no `receive`.
            return None
        return served[0]

    return reach


@pytest.mark.parametrize(
    ("path", "scope", "who"),
    [
        ("/ws/notifications/", {}, "ours"),
        ("/ws/chat/", {}, "theirs"),
        ("/ws/other/", {}, None),
        ("/ws/notifications", {}, None),
        ("/x/ws/notifications/", {}, None),
        # uvicorn's path has the root_path, Daphne's doesn't.
        ("/app/ws/notifications/", APP, "ours"),
        ("/ws/notifications/", APP, "ours"),
        ("/app/ws/chat/", APP, "theirs"),
        ("/app/ws/notifications/", {}, None),
    ],
)
async def test_by_root_path(reached, path, scope, who):
    assert await reached(path, **scope) == who


@pytest.mark.parametrize(
    ("path", "who"),
    [("/app/ws/notifications/", "ours"), ("/ws/notifications/", "ours"), ("/other/ws/notifications/", None)],
)
async def test_by_force_script_name(reached, settings, path, who):
    settings.FORCE_SCRIPT_NAME = "/app"
    assert await reached(path) == who
