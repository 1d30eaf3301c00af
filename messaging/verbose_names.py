"""The names of models and their fields, in the language of a page that shows them.

Set when the models are there. A `verbose_name` in the models themselves would be in their migrations as well, where a
text has no meaning; the English ones are those that the models have anyway. Fields that no page shows aren't named.
"""

from typing import Any

from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from .models import (
    ApiToken,
    Block,
    BroadcastJob,
    Contact,
    Inbox,
    LoginFailure,
    Message,
    Notification,
    UserProfile,
    UserSession,
)


def name(model: type[Model], one: Promise, many: Promise, **fields: Promise) -> None:
    """Name a model, and fields of it. Lazy texts, as for `verbose_name`."""
    options: Any = model._meta
    options.verbose_name, options.verbose_name_plural = one, many
    for field, text in fields.items():
        options.get_field(field).verbose_name = text


def set_all() -> None:
    name(
        Message,
        pgettext_lazy("doorbell", "message"),
        pgettext_lazy("doorbell", "messages"),
        sender=pgettext_lazy("doorbell", "sender"),
        receiver=pgettext_lazy("doorbell", "receiver"),
        content=pgettext_lazy("doorbell", "content"),
        timestamp=pgettext_lazy("doorbell", "timestamp"),
        is_read=pgettext_lazy("doorbell", "read"),
        is_withheld=pgettext_lazy("doorbell", "withheld"),
    )
    name(
        Notification,
        pgettext_lazy("doorbell", "notification"),
        pgettext_lazy("doorbell", "notifications"),
        user=pgettext_lazy("doorbell", "user"),
        message=pgettext_lazy("doorbell", "message"),
        actor=pgettext_lazy("doorbell", "actor"),
        notification_type=pgettext_lazy("doorbell", "notification type"),
        title=pgettext_lazy("doorbell", "title"),
        description=pgettext_lazy("doorbell", "description"),
        level=pgettext_lazy("doorbell", "level"),
        url=pgettext_lazy("doorbell", "url"),
        is_read=pgettext_lazy("doorbell notification", "read"),
        created_at=pgettext_lazy("doorbell", "created at"),
        data=pgettext_lazy("doorbell", "data"),
        revision=pgettext_lazy("doorbell", "revision"),
        pending_since=pgettext_lazy("doorbell", "pending since"),
    )
    name(
        Inbox,
        pgettext_lazy("doorbell", "inbox"),
        pgettext_lazy("doorbell", "inboxes"),
        user=pgettext_lazy("doorbell", "user"),
        epoch=pgettext_lazy("doorbell", "epoch"),
        revision=pgettext_lazy("doorbell", "revision"),
        unread_count=pgettext_lazy("doorbell", "unread count"),
        floor=pgettext_lazy("doorbell", "floor"),
    )
    name(
        UserProfile,
        pgettext_lazy("doorbell", "user profile"),
        pgettext_lazy("doorbell", "user profiles"),
        user=pgettext_lazy("doorbell", "user"),
        is_online=pgettext_lazy("doorbell", "online"),
        is_hidden=pgettext_lazy("doorbell", "hidden"),
        last_seen=pgettext_lazy("doorbell", "last seen"),
        language=pgettext_lazy("doorbell", "language"),
        timezone=pgettext_lazy("doorbell", "time zone"),
        version=pgettext_lazy("doorbell", "version"),
        offline_after=pgettext_lazy("doorbell", "offline after"),
    )
    name(
        Block,
        pgettext_lazy("doorbell", "block"),
        pgettext_lazy("doorbell", "blocks"),
        blocker=pgettext_lazy("doorbell", "blocker"),
        blocked=pgettext_lazy("doorbell", "blocked"),
        created_at=pgettext_lazy("doorbell", "created at"),
    )
    name(
        ApiToken,
        pgettext_lazy("doorbell", "API token"),
        pgettext_lazy("doorbell", "API tokens"),
        name=pgettext_lazy("doorbell", "name"),
        user=pgettext_lazy("doorbell", "user"),
        can_publish=pgettext_lazy("doorbell", "can publish"),
        created_at=pgettext_lazy("doorbell", "created at"),
        revoked_at=pgettext_lazy("doorbell", "revoked"),
    )
    name(
        BroadcastJob,
        pgettext_lazy("doorbell", "broadcast"),
        pgettext_lazy("doorbell", "broadcasts"),
        state=pgettext_lazy("doorbell", "state"),
        error=pgettext_lazy("doorbell", "error"),
        title=pgettext_lazy("doorbell", "title"),
        description=pgettext_lazy("doorbell", "description"),
        url=pgettext_lazy("doorbell", "URL"),
        sent_by=pgettext_lazy("doorbell", "sent by"),
        created_at=pgettext_lazy("doorbell", "created"),
        finished_at=pgettext_lazy("doorbell", "finished"),
    )
    # Those without a page are counted where their user is deleted, and permissions name them.
    name(Contact, pgettext_lazy("doorbell", "contact"), pgettext_lazy("doorbell", "contacts"))
    name(
        LoginFailure, pgettext_lazy("doorbell", "login failure"), pgettext_lazy("doorbell", "login failures")
    )
    name(UserSession, pgettext_lazy("doorbell", "user session"), pgettext_lazy("doorbell", "user sessions"))
