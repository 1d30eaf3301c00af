"""The names of models and their fields, in the language of a page that shows them.

Set when the models are there. A `verbose_name` in the models themselves would be in their migrations as well, where a
text has no meaning; the English ones are those that the models have anyway. Fields that no page shows aren't named.
"""

from typing import Any

from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy as _

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
        _("doorbell", "message"),
        _("doorbell", "messages"),
        sender=_("doorbell", "sender"),
        receiver=_("doorbell", "receiver"),
        content=_("doorbell", "content"),
        timestamp=_("doorbell", "timestamp"),
        is_read=_("doorbell", "read"),
        is_withheld=_("doorbell", "withheld"),
    )
    name(
        Notification,
        _("doorbell", "notification"),
        _("doorbell", "notifications"),
        user=_("doorbell", "user"),
        message=_("doorbell", "message"),
        actor=_("doorbell", "actor"),
        notification_type=_("doorbell", "notification type"),
        title=_("doorbell", "title"),
        description=_("doorbell", "description"),
        level=_("doorbell", "level"),
        url=_("doorbell", "url"),
        is_read=_("doorbell notification", "read"),
        created_at=_("doorbell", "created at"),
        data=_("doorbell", "data"),
        revision=_("doorbell", "revision"),
        pending_since=_("doorbell", "pending since"),
    )
    name(
        Inbox,
        _("doorbell", "inbox"),
        _("doorbell", "inboxes"),
        user=_("doorbell", "user"),
        epoch=_("doorbell", "epoch"),
        revision=_("doorbell", "revision"),
        unread_count=_("doorbell", "unread count"),
        floor=_("doorbell", "floor"),
    )
    name(
        UserProfile,
        _("doorbell", "user profile"),
        _("doorbell", "user profiles"),
        user=_("doorbell", "user"),
        is_online=_("doorbell", "online"),
        is_hidden=_("doorbell", "hidden"),
        last_seen=_("doorbell", "last seen"),
        language=_("doorbell", "language"),
        timezone=_("doorbell", "time zone"),
        version=_("doorbell", "version"),
        offline_after=_("doorbell", "offline after"),
    )
    name(
        Block,
        _("doorbell", "block"),
        _("doorbell", "blocks"),
        blocker=_("doorbell", "blocker"),
        blocked=_("doorbell", "blocked"),
        created_at=_("doorbell", "created at"),
    )
    name(
        ApiToken,
        _("doorbell", "API token"),
        _("doorbell", "API tokens"),
        name=_("doorbell", "name"),
        user=_("doorbell", "user"),
        can_publish=_("doorbell", "can publish"),
        created_at=_("doorbell", "created at"),
        revoked_at=_("doorbell", "revoked"),
    )
    name(
        BroadcastJob,
        _("doorbell", "broadcast"),
        _("doorbell", "broadcasts"),
        state=_("doorbell", "state"),
        error=_("doorbell", "error"),
        title=_("doorbell", "title"),
        description=_("doorbell", "description"),
        url=_("doorbell", "URL"),
        sent_by=_("doorbell", "sent by"),
        created_at=_("doorbell", "created"),
        finished_at=_("doorbell", "finished"),
    )
    # Those without a page are counted where their user is deleted, and permissions name them.
    name(Contact, _("doorbell", "contact"), _("doorbell", "contacts"))
    name(LoginFailure, _("doorbell", "login failure"), _("doorbell", "login failures"))
    name(UserSession, _("doorbell", "user session"), _("doorbell", "user sessions"))
