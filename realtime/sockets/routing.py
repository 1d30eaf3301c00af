"""The route of the sockets. A project's own routes may stand before or after it."""

from collections.abc import Iterable
from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from .consumers import NotificationConsumer, UnknownPath

# The stubs of `path` accept views only; Channels routes to consumers.
websocket_urlpatterns: Any = [
    path("ws/notifications/", NotificationConsumer.as_asgi()),  # type: ignore[arg-type]
]


def router(others: Iterable[Any] = ()) -> Any:
    """Return the application of all sockets: ours, a project's own, and a refusal of every other path."""
    refusal: Any = re_path("", UnknownPath.as_asgi())  # type: ignore[arg-type]
    return URLRouter([*websocket_urlpatterns, *others, refusal])
