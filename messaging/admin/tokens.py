"""API tokens: created (and shown once) and revoked here."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from messaging import tokens, users
from messaging.models import ApiToken

from .broadcasts import PERMISSION
from .common import NAME, ActingAdmin, ActingForm, figure
from .history import in_common_language

HELP_TEXTS = {
    "name": _("What the token is for."),
    "user": _("The user in whose name the token acts. Empty: it acts for no user, and can only publish."),
    "can_publish": _("It may send notifications to any user. A token without a user needs this right."),
}


class ApiTokenForm(ActingForm):
    def clean_user(self) -> Any:
        return self.checked_user("user")

    def clean_can_publish(self) -> bool:
        can_publish: bool = self.cleaned_data["can_publish"]
        if can_publish and not self.actor.has_perm(PERMISSION):
            raise ValidationError(_("You may not grant it: that needs the right to send notifications."))
        return can_publish

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.instance._state.adding and not (cleaned.get("user") or cleaned.get("can_publish")):
            raise ValidationError(
                _("Choose a user in whose name the token acts, or grant it the right to publish.")
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
        text = gettext("The secret of {name}: {secret} Copy it now: it can't be shown again.")
        shown = format_html(text, name=obj.name, secret=format_html("<code>{}</code>", secret))
        self.message_user(request, shown, messages.WARNING)

    def log_addition(self, request: HttpRequest, obj: ApiToken, message: Any) -> Any:
        with in_common_language():
            text = " ".join([pgettext("doorbell", "Created."), _rights_of(obj)])
        return super().log_addition(request, obj, text)

    @admin.display(description=pgettext_lazy("doorbell", "valid"), boolean=True)
    def valid(self, token: ApiToken) -> bool:
        return token.revoked_at is None and (token.user is None or users.is_active(token.user))

    @admin.action(description=_("Revoke selected tokens"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        valid = list(queryset.filter(revoked_at=None))
        for token in valid:
            tokens.revoke(token)
            with in_common_language():
                text = " ".join([pgettext("doorbell", "Revoked."), _rights_of(token)])
            self.log_change(request, token, text)
        done = ngettext("%(count)s token revoked.", "%(count)s tokens revoked.", len(valid))
        self.message_user(request, done % {"count": figure(len(valid))})


def _rights_of(token: ApiToken) -> str:
    if token.user is None:
        return gettext("It may publish to anyone.")
    text = (
        gettext("It acts in the name of %(user)s and may publish to anyone.")
        if token.can_publish
        else gettext("It acts in the name of %(user)s.")
    )
    return text % {"user": users.name_of(token.user)}
