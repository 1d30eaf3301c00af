from typing import Any

from django.urls import path, re_path

from .consumers import NotificationConsumer, UnknownPath

# The stubs of `path` accept views only; Channels routes to consumers.
websocket_urlpatterns: Any = [
    path("ws/notifications/", NotificationConsumer.as_asgi()),  # type: ignore[arg-type]
    re_path("", UnknownPath.as_asgi()),  # type: ignore[arg-type]
]
