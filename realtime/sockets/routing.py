"""The route of the sockets. A project's own routes may stand before or after it."""

from collections.abc import Iterable
from typing import Any

from channels.routing import URLRouter
from django.core.handlers.asgi import get_script_prefix
from django.urls import URLPattern, re_path
from django.urls.resolvers import RegexPattern

from realtime import mount

from .consumers import NotificationConsumer, UnknownPath


class SocketPattern(RegexPattern):
    """Matches the one path that the URLconf gives the socket, whatever prefix is in front of it."""

    def match(self, path: str) -> Any:
        return ("", (), {}) if mount.is_socket(path) else None


# Django's types accept views only; Channels routes to consumers.
consumer: Any = NotificationConsumer.as_asgi()
websocket_urlpatterns: Any = [URLPattern(SocketPattern(""), consumer)]


def router(others: Iterable[Any] = ()) -> Any:
    """Return the application of all sockets: ours, a project's own, and a refusal of every other path."""
    refusal: Any = re_path("", UnknownPath.as_asgi())  # type: ignore[arg-type]
    routes: Any = URLRouter([*websocket_urlpatterns, *others, refusal])

    async def route(scope: Any, receive: Any, send: Any) -> Any:
        # The script prefix is removed as Django removes it from requests: whether a proxy has stripped it or not.
        path = scope["path"].removeprefix(get_script_prefix(scope)).lstrip("/")
        return await routes({**scope, "path_remaining": path}, receive, send)

    return route
