"""The form that sends a notification: whom to, and what. It checks both before anything is sent."""

import secrets
from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget, AutocompleteSelectMultiple
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from messaging import broadcast_jobs, logins, notification_types, notifications, users
from messaging.exceptions import MessagingError
from messaging.models import Notification

from .broadcasts import CHOSEN, audiences, group_of
from .common import LEVELS, NAME, can_search_users, figure

# An answer to a request can't wait for more: those are sent in the background.
MAX_RECEIVERS = 10_000
MORE = _("To a group, or to all users: choose it as “To”, or manage.py notify --group NAME, or --all.")


class MultilineField(forms.CharField):
    """A multiline text, with the line breaks of browsers' forms (CRLF) normalized to LF."""

    widget = AdminTextareaWidget(attrs={"rows": 5})

    def to_python(self, value: Any) -> Any:
        return super().to_python(str(value or "").replace("\r\n", "\n"))


class UserChooser(AutocompleteSelectMultiple):
    """Django's widget, which raises for values that aren't ids or are out of range: these are ignored here."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return [
            pk for pk in super().value_from_datadict(data, files, name) or () if users.key_of(pk) is not None
        ]


class SendForm(forms.Form):
    to = forms.ChoiceField(label=pgettext_lazy("doorbell", "To"))
    users = forms.ModelMultipleChoiceField(
        label=pgettext_lazy("doorbell", "Users"),
        queryset=users.people().none(),
        required=False,
        widget=UserChooser(Notification._meta.get_field("user"), admin.site),
    )
    usernames = MultilineField(
        label=pgettext_lazy("doorbell", "Usernames"),
        required=False,
        help_text=_("Usernames, one per line or separated by commas."),
    )
    notification_type = forms.ChoiceField(label=capfirst(pgettext_lazy("doorbell", "type")))
    title = forms.CharField(
        label=capfirst(pgettext_lazy("doorbell", "title")),
        max_length=200,
        required=False,
        widget=AdminTextInputWidget(attrs={"size": 80}),
        help_text=_("May be left out where the type has a title of its own."),
    )
    description = MultilineField(
        label=capfirst(pgettext_lazy("doorbell", "description")), max_length=500, required=False
    )
    level = forms.ChoiceField(
        label=capfirst(pgettext_lazy("doorbell", "level")),
        choices=[("", _("default of the type")), *LEVELS.items()],
        required=False,
    )
    url = forms.CharField(
        label=pgettext_lazy("doorbell", "URL"),
        max_length=500,
        required=False,
        widget=AdminTextInputWidget(attrs={"size": 80}),
        help_text=_("Link target: /… on this site, or http(s)://…"),
    )
    # Makes submitting a form twice notify once.
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, request: HttpRequest, data: Any = None, **options: Any) -> None:
        initial = {
            "to": CHOSEN,
            "notification_type": notification_types.ANNOUNCEMENT.name,
            "key": secrets.token_urlsafe(12),
        }
        self.sender_id: Any = request.user.pk
        super().__init__(data, initial=initial | options.pop("initial", {}), **options)
        types = [each for each in notification_types.all_types() if each.sendable and not each.presence_like]
        self.fields["notification_type"].choices = [(each.name, each.label) for each in types]  # type: ignore[attr-defined]
        self.fields["to"].choices = audiences()  # type: ignore[attr-defined]
        # A form of an earlier version, or of a test, has none.
        self.fields["to"].required = False
        self.fields["users"].queryset = users.active().order_by(NAME)  # type: ignore[attr-defined]
        # The autocomplete offers usernames, so it requires the right to view or change users.
        user = users.model()._meta
        if not can_search_users(admin.site) or not any(
            request.user.has_perm(f"{user.app_label}.{may}_{user.model_name}") for may in ("view", "change")
        ):
            del self.fields["users"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        chosen = {
            user.pk: users.name_of(user) for user in cleaned.get("users") or () if users.is_active(user)
        }
        chosen |= self._named(cleaned.get("usernames", ""))
        to = cleaned["to"] = cleaned.get("to") or CHOSEN
        if to != CHOSEN:
            self._clean_audience(to, chosen)
        elif not chosen and not self.errors:
            self.add_error(None, gettext("Choose at least one user."))
        if len(chosen) > MAX_RECEIVERS:
            text = gettext("%(count)s users are too many: at most %(most)s at once.")
            named = {"count": figure(len(chosen)), "most": figure(MAX_RECEIVERS)}
            self.add_error(None, f"{text % named} {MORE}")
        cleaned["receivers"] = dict(sorted(chosen.items(), key=lambda item: str(item[1])))
        # A missing or overlong text already has an error of its own.
        if {"title", "description", "level", "notification_type", "url"} <= cleaned.keys():
            try:
                cleaned["example"] = notifications.build(self.sender_id, **self.content(cleaned))
            except MessagingError as error:
                self.add_error(None, error.translated())
        return cleaned

    def _clean_audience(self, to: str, chosen: Collection[Any]) -> None:
        if chosen:
            self.add_error("to", gettext("Either choose users, or a group or everybody."))
        self.cleaned_data["count"] = broadcast_jobs.count(group_of(to))
        if not self.cleaned_data["count"]:
            self.add_error("to", gettext("It has no active users."))

    def _named(self, text: str) -> dict[Any, str]:
        """Return the users named in a text, by id: first whole lines, since a name may contain a comma."""
        lines = {line.strip() for line in text.split("\n")}
        found = _ids_of(lines)
        names = {name.strip() for line in lines - set(found) for name in line.split(",")} - {""}
        found |= _ids_of(names)
        if unknown := sorted(names - set(found)):
            listed = and_more([repr(name) for name in unknown[:10]], len(unknown) - 10)
            text = gettext("There is no active user %(names)s.") % {"names": listed}
            self.add_error("usernames", text)
        return {pk: name for name, pk in found.items()}

    @staticmethod
    def content(cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `notify_many`, except the users."""
        return {
            **{name: cleaned[name] for name in ("notification_type", "description")},
            **{name: cleaned[name] or None for name in ("title", "level", "url")},
        }


def and_more(names: Collection[str], more: int) -> str:
    """Return these names, and how many there are besides."""
    listed = ", ".join(names)
    if more <= 0:
        return listed
    text = ngettext("%(names)s and %(count)s more", "%(names)s and %(count)s more", more)
    return text % {"names": listed, "count": figure(more)}


def _ids_of(names: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ordered = sorted({*names} - {""})
    for start in range(0, len(ordered), 500):
        found |= logins.ids_by_name(ordered[start : start + 500])
    return found
