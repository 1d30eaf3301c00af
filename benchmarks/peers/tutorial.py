"""The tutorial's server, for uvicorn: a consumer a socket, a group a user, and one of all.

With WITHOUT_HOP it is spared the hop into a thread that Channels makes for every event (`aclose_old_connections`).
"""

import importlib
import json
import os
from typing import Any

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class NotificationConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        user = self.scope.get("user")
        user_id = self.scope["url_route"]["kwargs"].get("user_id") or (user and user.pk)
        if user_id is None:
            await self.close()
            return
        self.groups_joined = (f"user_{user_id}", "all")
        for group in self.groups_joined:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        for group in self.groups_joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def notification(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(event["data"]))


async def no_hop() -> None:
    """In place of a hop into a thread."""


if os.environ.get("WITHOUT_HOP"):
    consumers: Any = importlib.import_module("channels.consumer")
    consumers.aclose_old_connections = no_hop

consumer: Any = NotificationConsumer.as_asgi()
with_login: Any = AuthMiddlewareStack(consumer)
routes: Any = [
    path("ws/plain/<int:user_id>/", consumer),
    path("ws/login/", with_login),
]
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(routes)})
