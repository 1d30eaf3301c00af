"""API tokens: created (and shown once) and revoked here."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from messaging import tokens, users
from messaging.models import ApiToken

from .broadcasts import PERMISSION
from .common import NAME, ActingAdmin, ActingForm, counted

HELP_TEXTS = {
    "name": "What the token is for.",
    "user": "The user in whose name the token acts. Empty: it acts for no user, and can only publish.",
    "can_publish": "It may send notifications to any user. A token without a user needs this right.",
}


class ApiTokenForm(ActingForm):
    def clean_user(self) -> Any:
        return self.checked_user("user")

    def clean_can_publish(self) -> bool:
        can_publish: bool = self.cleaned_data["can_publish"]
        if can_publish and not self.actor.has_perm(PERMISSION):
            raise ValidationError("You may not grant it: that needs the right to send notifications.")
        return can_publish

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.instance._state.adding and not (cleaned.get("user") or cleaned.get("can_publish")):
            raise ValidationError(
                "Choose a user in whose name the token acts, or grant it the right to publish."
            )
        return cleaned


@admin.register(ApiToken)
class ApiTokenAdmin(ActingAdmin):
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

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, help_texts=HELP_TEXTS, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        secret = tokens.issue(obj)
        text = "The secret of {}: {} Copy it now: it can't be shown again."
        self.message_user(
            request, format_html(text, obj.name, format_html("<code>{}</code>", secret)), messages.WARNING
        )

    def log_addition(self, request: HttpRequest, obj: ApiToken, message: Any) -> Any:
        return super().log_addition(request, obj, f"Created. {_rights_of(obj)}")

    @admin.display(description="valid", boolean=True)
    def valid(self, token: ApiToken) -> bool:
        return token.revoked_at is None and (token.user is None or users.is_active(token.user))

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        valid = list(queryset.filter(revoked_at=None))
        for token in valid:
            tokens.revoke(token)
            self.log_change(request, token, f"Revoked. {_rights_of(token)}")
        self.message_user(request, f"{counted(len(valid), 'token')} revoked.")


def _rights_of(token: ApiToken) -> str:
    rights = [] if token.user is None else [f"acts in the name of {users.name_of(token.user)}"]
    rights += ["may publish to anyone"] if token.can_publish else []
    return f"It {' and '.join(rights)}."
