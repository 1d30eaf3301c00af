"""Blocks: who has blocked whom. Adding and deleting go through messaging/blocks.py, so that presence follows."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from messaging import blocks
from messaging.models import Block

from .common import NAME, ActingAdmin, ActingForm, UserFilter, link


class BlockForm(ActingForm):
    def clean_blocker(self) -> Any:
        return self.checked_user("blocker")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("blocker") is not None and cleaned.get("blocker") == cleaned.get("blocked"):
            raise ValidationError(_("A user can't block themselves."))
        return cleaned


@admin.register(Block)
class BlockAdmin(ActingAdmin):
    form = BlockForm
    list_display = ("blocker_link", "blocked_link", "created_at")
    list_select_related = ("blocker", "blocked")
    list_filter = ("created_at", ("blocker", UserFilter), ("blocked", UserFilter))
    search_fields = (f"blocker__{NAME}", f"blocked__{NAME}")
    search_help_text = _("A user's name")
    fields = ("blocker", "blocked")
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Block | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Block, form: Any, change: bool) -> None:
        obj.pk = blocks.block(obj.blocker_id, obj.blocked_id).pk

    def delete_model(self, request: HttpRequest, obj: Block) -> None:
        blocks.unblock(obj.blocker_id, obj.blocked_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Block]) -> None:
        for block in queryset:
            self.delete_model(request, block)

    @admin.display(description=pgettext_lazy("doorbell", "blocker"), ordering=f"blocker__{NAME}")
    def blocker_link(self, block: Block) -> str:
        return link(block.blocker)

    @admin.display(description=pgettext_lazy("doorbell", "blocked"), ordering=f"blocked__{NAME}")
    def blocked_link(self, block: Block) -> str:
        return link(block.blocked)
