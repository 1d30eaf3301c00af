"""Hearts for messages, and thanks for hearts. What they are as notifications is in notification_types.py."""

from typing import Any

from django.http import HttpResponse
from django.utils import translation
from django.utils.translation import gettext

from messaging import languages
from messaging.api.security import SignedIn
from messaging.exceptions import NotFound
from messaging.models import Message
from messaging.notifications import notify

from .doors import signed_in

MAX_EXCERPT = 200


@signed_in
def send_heart(request: SignedIn, message_id: int) -> HttpResponse:
    """Notify the sender of a message that its receiver likes it. As often as they like: it becomes one notification."""
    message = _message(request, message_id, receiver=request.user)
    user = request.user
    data = {
        "name": user.get_full_name() or user.get_username(),
        "message_id": message.pk,
        "excerpt": message.content[:MAX_EXCERPT],
    }
    notify(message.sender, "heart", actor=user, message=message, data=data)
    return HttpResponse(status=204)


@signed_in
def say_thanks(request: SignedIn, message_id: int) -> HttpResponse:
    """Answer the heart for one's own message, in one's own language: what the notification's action does."""
    message = _message(request, message_id, sender=request.user)
    user = request.user
    with translation.override(languages.of([user.pk])[user.pk]):
        thanks = gettext("Thank you!")
    Message.objects.create(sender=user, receiver=message.receiver, content=thanks)
    return HttpResponse(status=204)


def _message(request: SignedIn, message_id: int, **side: Any) -> Message:
    """Return a message of which the user is that side. Raises NotFound for any other."""
    visible = Message.objects.visible_to(request.user).select_related("sender", "receiver")
    message = visible.filter(pk=message_id, **side).first()
    if message is None:
        raise NotFound
    return message
