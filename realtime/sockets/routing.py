"""The route of the sockets. A project's own routes may stand before or after it."""

from typing import Any

from django.urls import path

from .consumers import NotificationConsumer

# The stubs of `path` accept views only; Channels routes to consumers.
websocket_urlpatterns: Any = [
    path("ws/notifications/", NotificationConsumer.as_asgi()),  # type: ignore[arg-type]
]
