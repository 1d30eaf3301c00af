"""Sending a notification, to chosen users or as a broadcast: a form, and a page that asks."""

import secrets
from collections.abc import Collection
from typing import Any, get_args

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget, AutocompleteSelectMultiple
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from messaging import broadcast_jobs, logins, notification_types, notifications, users
from messaging.exceptions import MessagingError
from messaging.models import Notification

from .broadcasts import CHOSEN, PERMISSION, audiences, begin, group_of, job_url
from .common import NAME, can_search_users, counted
from .concurrency import explained

# An answer to a request can't wait for more: those are sent in the background.
MAX_RECEIVERS = 10_000
MORE = "To a group, or to all users: choose it as “To”, or manage.py notify --group NAME, or --all."
LISTED = 50


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
    to = forms.ChoiceField(label="To")
    users = forms.ModelMultipleChoiceField(
        queryset=users.people().none(),
        required=False,
        widget=UserChooser(Notification._meta.get_field("user"), admin.site),
    )
    usernames = MultilineField(required=False, help_text="Usernames, one per line or separated by commas.")
    notification_type = forms.ChoiceField(label="Type")
    title = forms.CharField(
        max_length=200,
        required=False,
        widget=AdminTextInputWidget(attrs={"size": 80}),
        help_text="May be left out where the type has a title of its own.",
    )
    description = MultilineField(max_length=500, required=False)
    level = forms.ChoiceField(
        choices=[
            ("", "default of the type"),
            *((level, level) for level in get_args(notification_types.Level)),
        ],
        required=False,
    )
    url = forms.CharField(
        label="URL",
        max_length=500,
        required=False,
        widget=AdminTextInputWidget(attrs={"size": 80}),
        help_text="Link target: /… on this site, or http(s)://…",
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
            self.add_error(None, "Choose at least one user.")
        if len(chosen) > MAX_RECEIVERS:
            self.add_error(None, f"{len(chosen)} users are too many: at most {MAX_RECEIVERS} at once. {MORE}")
        cleaned["receivers"] = dict(sorted(chosen.items(), key=lambda item: str(item[1])))
        # A missing or overlong text already has an error of its own.
        if {"title", "description", "level", "notification_type", "url"} <= cleaned.keys():
            try:
                cleaned["example"] = notifications.build(self.sender_id, **self.content(cleaned))
            except MessagingError as error:
                self.add_error(None, str(error))
        return cleaned

    def _clean_audience(self, to: str, chosen: Collection[Any]) -> None:
        if chosen:
            self.add_error("to", "Either choose users, or a group or everybody.")
        self.cleaned_data["count"] = broadcast_jobs.count(group_of(to))
        if not self.cleaned_data["count"]:
            self.add_error("to", "It has no active users.")

    def _named(self, text: str) -> dict[Any, str]:
        """Return the users named in a text, by id: first whole lines, since a name may contain a comma."""
        lines = {line.strip() for line in text.split("\n")}
        found = _ids_of(lines)
        names = {name.strip() for line in lines - set(found) for name in line.split(",")} - {""}
        found |= _ids_of(names)
        if unknown := sorted(names - set(found)):
            more = f", and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            self.add_error(
                "usernames", f"There is no active user {', '.join(map(repr, unknown[:10]))}{more}."
            )
        return {pk: name for name, pk in found.items()}

    @staticmethod
    def content(cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `notify_many`, except the users."""
        return {
            **{name: cleaned[name] for name in ("notification_type", "description")},
            **{name: cleaned[name] or None for name in ("title", "level", "url")},
        }


def _ids_of(names: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ordered = sorted({*names} - {""})
    for start in range(0, len(ordered), 500):
        found |= logins.ids_by_name(ordered[start : start + 500])
    return found


class SendActionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the action "send a notification to the selected users". `users_of` maps the selected rows to users."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def users_of(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return users.people().filter(pk__in=queryset.order_by().values(users.key_name()))

    @admin.action(description="Send a notification to the selected users", permissions=["send"])
    def send_notification(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        selected = self.users_of(queryset)
        found = list(users.active(selected).order_by(NAME).values_list("pk", NAME)[: MAX_RECEIVERS + 1])
        left_out = users.inactive([pk for pk, _ in found])
        names = [name for pk, name in found if name and pk not in left_out]
        if not names or len(names) > MAX_RECEIVERS:
            text = (
                f"More than {MAX_RECEIVERS} users are selected: that is too many at once. {MORE}"
                if names
                else "None of the selected users is active."
            )
            self.message_user(request, text, messages.ERROR)
            return None
        if inactive := selected.count() - len(names):
            self.message_user(request, f"{counted(inactive, 'inactive user')} skipped.", messages.WARNING)
        return form_page(request, SendForm(request, initial={"usernames": "\n".join(names)}))


class SendViewAdmin(SendActionAdmin):
    """Adds the form and the confirmation page below the list of notifications."""

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view(self.send_view)
        return [path("send/", view, name="messaging_notification_send"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        permission = {"has_send_permission": self.has_send_permission(request)}
        return super().changelist_view(request, permission | (extra_context or {}))

    def send_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_send_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return form_page(request, SendForm(request))
        form = SendForm(request, request.POST)
        if not form.is_valid() or "change" in request.POST:
            return form_page(request, form)
        if "confirmed" not in request.POST:
            return confirmation_page(request, form)
        return explained(request, lambda: self._send(request, form))

    def _send(self, request: HttpRequest, form: SendForm) -> HttpResponse:
        if form.cleaned_data["to"] != CHOSEN:
            return self._broadcast(request, form)
        level, text = send(request.user, form)
        self.message_user(request, text, level)
        page = "changelist" if self.has_view_or_change_permission(request) else "send"
        return HttpResponseRedirect(reverse(f"admin:messaging_notification_{page}"))

    def _broadcast(self, request: HttpRequest, form: SendForm) -> HttpResponse:
        with transaction.atomic():
            job = begin(request.user, form.cleaned_data, form.content(form.cleaned_data))
            transaction.on_commit(broadcast_jobs.start_due, robust=True)
        if job is None:
            text = "This is being sent, or was sent, already: it is not sent twice."
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(reverse("admin:messaging_broadcastjob_changelist"))
        return HttpResponseRedirect(job_url(job))


def send(sender: Any, form: SendForm) -> tuple[int, str]:
    """Notify the form's users, and log it. Returns the level and text of the message for the sender."""
    cleaned = form.cleaned_data
    receivers = cleaned["receivers"]
    with transaction.atomic():
        rows = notifications.notify_many(
            receivers, **form.content(cleaned), dedupe_key=f"admin:{cleaned['key']}"
        )
        if not rows:
            return (
                messages.WARNING,
                "No user is left to notify: this was already sent, and it is not sent twice.",
            )
        names = [receivers[row.user_id] for row in rows]
        users = counted(len(rows), "user")
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        LogEntry.objects.create(
            user_id=sender.pk,
            content_type=ContentType.objects.get_for_model(Notification),
            object_id=str(rows[0].pk) if len(rows) == 1 else None,
            object_repr=rows[0].title,
            action_flag=ADDITION,
            change_message=f"Sent to {users}: {', '.join(names[:LISTED])}{more}.",
        )
    return messages.SUCCESS, f"“{cleaned['example'].title}” was sent to {users}."


def form_page(request: HttpRequest, form: Any) -> HttpResponse:
    who = tuple(name for name in ("to", "users", "usernames") if name in form.fields)
    what = ("notification_type", "title", "description", "level", "url")
    fieldsets: Any = [("Recipients", {"fields": who}), ("Notification", {"fields": what})]
    return _page(request, "form", form, title="Send a notification", adminform=AdminForm(form, fieldsets, {}))


def confirmation_page(request: HttpRequest, form: SendForm) -> HttpResponse:
    receivers = list(form.cleaned_data["receivers"].values())
    number = len(receivers)
    if (to := form.cleaned_data["to"]) != CHOSEN:
        receivers, number = [dict(audiences())[to]], form.cleaned_data["count"]
    return _page(
        request,
        "confirmation",
        form,
        title="Send this notification?",
        example=form.cleaned_data["example"],
        type_label=notification_types.get(form.cleaned_data["notification_type"]).label,
        users=counted(number, "user"),
        listed=receivers[:LISTED],
        more=len(receivers[LISTED:]),
    )


def _page(request: HttpRequest, name: str, form: SendForm, **context: Any) -> HttpResponse:
    shared = admin.site.each_context(request) | {
        "opts": Notification._meta,
        "form": form,
        "media": form.media,
    }
    return TemplateResponse(request, f"admin/messaging/notification/send_{name}.html", shared | context)
