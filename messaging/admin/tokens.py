"""API tokens: created (and shown once) and revoked here."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from messaging import tokens
from messaging.models import ApiToken

from .common import NAME, ChoosesUsersAdmin, counted


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.instance._state.adding and not (cleaned.get("user") or cleaned.get("can_publish")):
            raise ValidationError(
                "Choose a user in whose name the token acts, or grant it the right to publish."
            )
        return cleaned


@admin.register(ApiToken)
class ApiTokenAdmin(ChoosesUsersAdmin):
    form = ApiTokenForm
    list_display = ("name", "user", "can_publish", "created_at", "revoked_at", "valid")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "can_publish")
    search_fields = ("name", f"user__{NAME}")
    ordering = ("-pk",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        return super().get_queryset(request).select_related("user")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return (
            ("name", "user", "can_publish")
            if obj is None
            else ("name", *self.get_readonly_fields(request, obj))
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        # A token's rights are fixed when it is created.
        return () if obj is None else ("user", "can_publish", "created_at", "revoked_at")

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        secret = tokens.issue(obj)
        text = "The secret of {}: {} Copy it now: it can't be shown again."
        self.message_user(
            request, format_html(text, obj.name, format_html("<code>{}</code>", secret)), messages.WARNING
        )

    @admin.display(description="valid", boolean=True)
    def valid(self, token: ApiToken) -> bool:
        return token.revoked_at is None and (token.user is None or token.user.is_active)

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        valid = list(queryset.filter(revoked_at=None))
        for token in valid:
            tokens.revoke(token)
            self.log_change(request, token, "Revoked.")
        self.message_user(request, f"{counted(len(valid), 'token')} revoked.")
