"""Messages: sender, receiver, content, and the notifications that they caused."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from messaging.models import Message, Notification

from .common import (
    NAME,
    ActingAdmin,
    ActingForm,
    UserFilter,
    figure,
    link,
    link_to_list,
    number_of,
    shortened,
)
from .deletion import BoundedDeletionAdmin


class MessageForm(ActingForm):
    def clean_sender(self) -> Any:
        return self.checked_user("sender")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("sender") is not None and cleaned.get("sender") == cleaned.get("receiver"):
            raise ValidationError(_("A message to oneself can't be sent."))
        return cleaned


@admin.register(Message)
class MessageAdmin(ActingAdmin, BoundedDeletionAdmin):
    form = MessageForm
    list_display = (
        "preview",
        "sender_link",
        "receiver_link",
        "timestamp",
        "read",
        "withheld",
        "number_of_notifications",
    )
    list_select_related = ("sender", "receiver")
    list_filter = ("is_read", "is_withheld", "timestamp", ("sender", UserFilter), ("receiver", UserFilter))
    search_fields = ("content", f"sender__{NAME}", f"receiver__{NAME}")
    search_help_text = _("Content or username")
    actions = ("mark_read", "mark_unread", "delete_selected")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows: QuerySet[Message] = super().get_queryset(request).select_related("sender", "receiver")
        return rows.annotate(notification_count=number_of(Notification.objects.all(), "message"))

    def get_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        if obj is None:
            return "sender", "receiver", "content"
        return (
            "sender_link",
            "receiver_link",
            "content",
            "timestamp",
            "is_read",
            "withheld",
            "number_of_notifications",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        # A sent message can't be edited.
        if obj is None:
            return ()
        return "sender_link", "receiver_link", "content", "timestamp", "withheld", "number_of_notifications"

    def save_model(self, request: HttpRequest, obj: Message, form: Any, change: bool) -> None:
        if not change:
            obj.save()
        elif "is_read" in form.changed_data:
            rows = Message.objects.filter(pk=obj.pk)
            _ = rows.mark_read() if obj.is_read else rows.mark_unread()

    @admin.display(description=pgettext_lazy("doorbell", "message"))
    def preview(self, message: Message) -> str:
        return shortened(message.content)

    @admin.display(description=pgettext_lazy("doorbell", "sender"), ordering=f"sender__{NAME}")
    def sender_link(self, message: Message) -> str:
        return link(message.sender)

    @admin.display(description=pgettext_lazy("doorbell", "receiver"), ordering=f"receiver__{NAME}")
    def receiver_link(self, message: Message) -> str:
        return link(message.receiver)

    @admin.display(description=pgettext_lazy("doorbell", "read"), boolean=True, ordering="is_read")
    def read(self, message: Message) -> bool:
        return message.is_read

    @admin.display(description=pgettext_lazy("doorbell", "withheld"), boolean=True, ordering="is_withheld")
    def withheld(self, message: Message) -> bool:
        return message.is_withheld

    @admin.display(description=pgettext_lazy("doorbell", "notifications"))
    def number_of_notifications(self, message: Message) -> str:
        count: int = message.notification_count  # type: ignore[attr-defined]
        return link_to_list(Notification, count, message__id__exact=message.pk) if count else "0"

    @admin.action(description=_("Mark selected messages read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: Any) -> None:
        count = queryset.mark_read()
        text = ngettext("%(count)s message marked read.", "%(count)s messages marked read.", count)
        self.message_user(request, text % {"count": figure(count)})

    @admin.action(description=_("Mark selected messages unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: Any) -> None:
        count = queryset.mark_unread()
        text = ngettext("%(count)s message marked unread.", "%(count)s messages marked unread.", count)
        self.message_user(request, text % {"count": figure(count)})
