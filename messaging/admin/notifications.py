"""Notifications: viewing, marking, removing from every device, and sending."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from messaging import notifications
from messaging.models import Notification

from .common import (
    NAME,
    NOTHING,
    LevelFilter,
    TypeFilter,
    UserFilter,
    figure,
    level_label,
    link,
    shortened,
    type_label,
)
from .deletion import BoundedDeletionAdmin
from .sending import SendViewAdmin

NOTIFICATION_FIELDS = (
    "user_link",
    "type_label",
    "title",
    "description",
    "level_label",
    "address",
    "data_as_json",
    "is_read",
    "actor_link",
    "message_link",
    "created_at",
    "revision",
    "pending_since",
)


@admin.register(Notification)
class NotificationAdmin(BoundedDeletionAdmin, SendViewAdmin):
    list_display = (
        "title",
        "user_link",
        "type_label",
        "read",
        "actor_link",
        "message_link",
        "created_at",
    )
    list_select_related = ("user", "actor", "message")
    list_filter = ("is_read", TypeFilter, LevelFilter, "created_at", ("user", UserFilter))
    search_fields = ("title", "description", f"user__{NAME}")
    search_help_text = _("Title, description or username")
    fields = NOTIFICATION_FIELDS
    # Clients keep the texts that they have received: an edit would reach none of them.
    readonly_fields = tuple({*NOTIFICATION_FIELDS} - {"is_read"})
    actions = ("mark_read", "mark_unread", "delete_selected")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return super().get_queryset(request).select_related("user", "actor", "message")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Notification, form: Any, change: bool) -> None:
        if "is_read" in form.changed_data:
            mark = notifications.mark_read if obj.is_read else notifications.mark_unread
            mark(obj.user_id, [obj.pk])

    @admin.action(description=_("Remove selected notifications from every device"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return super().delete_selected(request, queryset)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        notifications.remove_rows(queryset)

    @admin.display(description=pgettext_lazy("doorbell", "user"), ordering=f"user__{NAME}")
    def user_link(self, notification: Notification) -> str:
        return link(notification.user)

    @admin.display(description=pgettext_lazy("doorbell", "type"), ordering="notification_type")
    def type_label(self, notification: Notification) -> str:
        return type_label(notification.notification_type)

    @admin.display(description=pgettext_lazy("doorbell", "level"))
    def level_label(self, notification: Notification) -> str:
        return level_label(notification.level)

    @admin.display(description=pgettext_lazy("doorbell", "URL"))
    def address(self, notification: Notification) -> str:
        return notification.url or NOTHING

    @admin.display(description=pgettext_lazy("doorbell", "data"))
    def data_as_json(self, notification: Notification) -> str:
        if notification.data is None:
            return NOTHING
        return format_html(
            '<pre dir="ltr">{}</pre>', json.dumps(notification.data, ensure_ascii=False, indent=2)
        )

    @admin.display(
        description=pgettext_lazy("doorbell notification", "read"), boolean=True, ordering="is_read"
    )
    def read(self, notification: Notification) -> bool:
        return notification.is_read

    @admin.display(description=pgettext_lazy("doorbell", "from"), ordering=f"actor__{NAME}")
    def actor_link(self, notification: Notification) -> str:
        return link(notification.actor)

    @admin.display(description=pgettext_lazy("doorbell", "message"))
    def message_link(self, notification: Notification) -> str:
        message = notification.message
        return link(message, shortened(message.content, 25) if message else None)

    @admin.action(description=_("Mark selected notifications read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: Any) -> None:
        changed = notifications.mark_rows_read(queryset)
        text = ngettext(
            "%(count)s notification marked read.", "%(count)s notifications marked read.", changed
        )
        self.message_user(request, text % {"count": figure(changed)})

    @admin.action(description=_("Mark selected notifications unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: Any) -> None:
        changed = notifications.mark_rows_unread(queryset)
        text = ngettext(
            "%(count)s notification marked unread.", "%(count)s notifications marked unread.", changed
        )
        self.message_user(request, text % {"count": figure(changed)})
