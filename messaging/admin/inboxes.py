"""Inboxes, read-only."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from messaging.models import Inbox

from .common import NAME, ReadOnlyAdmin


@admin.register(Inbox)
class InboxAdmin(ReadOnlyAdmin):
    list_display = ("user", "revision", "unread_count", "floor", "epoch")
    list_select_related = ("user",)
    search_fields = (f"user__{NAME}",)
    search_help_text = _("A user's name")
    ordering = (f"user__{NAME}",)
    fields = ("user", "epoch", "revision", "unread_count", "floor")
