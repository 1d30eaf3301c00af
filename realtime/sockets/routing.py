from typing import Any

from django.urls import path, re_path

from .consumers import NotificationConsumer, Nowhere

# The stubs know of views only, where Channels routes consumers.
websocket_urlpatterns: Any = [
    path("ws/notifications/", NotificationConsumer.as_asgi()),  # type: ignore[arg-type]
    re_path("", Nowhere.as_asgi()),  # type: ignore[arg-type]
]
