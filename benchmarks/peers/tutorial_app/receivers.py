"""`post_save` creates the notification, and pushes it by `async_to_sync(group_send)`: as tutorials have it."""

from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db.models.signals import post_save

from .models import Message, Notification


def create_notification(sender: Any, instance: Any, created: bool, **kwargs: Any) -> None:
    if created:
        Notification._default_manager.create(
            user_id=instance.receiver_id,
            message=instance,
            title=f"New message from {instance.sender.username}",
            description=instance.content[:250],
        )


def push(sender: Any, instance: Any, created: bool, **kwargs: Any) -> None:
    if created:
        event = event_of(instance.description, id=instance.pk, title=instance.title)
        layer: Any = get_channel_layer()
        async_to_sync(layer.group_send)(f"user_{instance.user_id}", event)


def event_of(description: str, **data: Any) -> dict[str, Any]:
    shown = {"notification_type": "announcement", "title": "Benchmark", "level": "info", "is_read": False}
    return {"type": "notification", "data": {**shown, **data, "description": description}}


def connect() -> None:
    post_save.connect(create_notification, sender=Message)
    post_save.connect(push, sender=Notification)
