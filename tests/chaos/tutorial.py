"""The negative control: push notifications as in the tutorials. The checker must find its faults.

Each consumer has a channel of its own in a group of its user's, joined in connect() and left in disconnect(), which
also set the presence flag; a post_save receiver pushes by async_to_sync(group_send). It is a fair one: pushes leave
after commit, a layer that is down fails no save, and a page begins with the list that the database has.
Its frames have the contract's shape, numbered for each connection, so that the checker finds no other faults.
"""

import json
import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["REALTIME_RELAY"] = "0"
http = get_asgi_application()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.db import database_sync_to_async  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models.signals import post_save  # noqa: E402

from messaging.models import Message, Notification, UserProfile  # noqa: E402


class TutorialConsumer(AsyncWebsocketConsumer):
    revision = 0

    async def connect(self) -> None:
        self.user: Any = self.scope["user"]
        self.group = f"user_{self.user.pk}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.set_online(True)
        await self.send_frame(type="hello", epoch="x", revision=0, unread_count=0)
        # The page reads its list now, after the group was joined.
        await self.send_frame(type="reset", revision=0, unread_count=0)

    async def disconnect(self, code: int) -> None:
        await self.set_online(False)
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def notification(self, event: dict[str, Any]) -> None:
        self.revision += 1
        await self.send_frame(
            type="inbox",
            revision=self.revision,
            unread_count=event["unread_count"],
            replayed=False,
            added=[event["row"]],
        )

    async def send_frame(self, **frame: Any) -> None:
        await self.send(json.dumps(frame))

    @database_sync_to_async
    def set_online(self, is_online: bool) -> None:
        UserProfile.objects.update_or_create(user_id=self.user.pk, defaults={"is_online": is_online})


def push(sender: Any, instance: Message, created: bool, **kwargs: Any) -> None:
    def send() -> None:
        rows = Notification.objects.filter(user=instance.receiver_id)
        event = {
            "type": "notification",
            "row": rows.values("id", "is_read").get(message=instance),
            "unread_count": rows.filter(is_read=False).count(),
        }
        async_to_sync(get_channel_layer().group_send)(f"user_{instance.receiver_id}", event)

    if created:
        transaction.on_commit(send, robust=True)


post_save.connect(push, sender=Message)
application = ProtocolTypeRouter({"http": http, "websocket": AuthMiddlewareStack(TutorialConsumer.as_asgi())})
