"""The demo's own notification type, with all that a type may have: docs/extending.md explains it.

Its texts are in each recipient's language, from the catalogues in locale/. A page gets them as they were stored.
"""

from datetime import timedelta

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from pydantic import BaseModel

from messaging.actions import Action
from messaging.notification_types import NotificationType, register


class Heart(BaseModel):
    name: str
    message_id: int
    excerpt: str


HEART = register(
    NotificationType(
        name="heart",
        label=_("Heart"),
        level="success",
        icon="heart",
        sendable=False,
        data=Heart,
        title=_("%(name)s sent you a heart"),
        description="%(excerpt)s",
        # All unread ones are one notification, from whomever they are. The data of a group are those of its newest.
        group_by="hearts",
        group_within=timedelta(hours=24),
        group_title=ngettext_lazy(
            "%(count)d heart for you, from %(name)s",
            "%(count)d hearts for you, the latest from %(name)s",
            "count",
        ),
        actions=(Action(label=_("Say thanks"), post="/demo/messages/{message_id}/thanks"),),
    )
)
