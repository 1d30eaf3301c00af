"""Sending a notification, to chosen users or as a broadcast: the pages, and what they do."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext
from django.utils.translation import gettext_lazy as _

from messaging import broadcast_jobs, notifications, users
from messaging.models import Notification

from .broadcasts import CHOSEN, PERMISSION, audiences, begin, job_url
from .common import NAME, figure, level_label, type_label
from .concurrency import explained
from .history import in_common_language
from .send_form import MAX_RECEIVERS, MORE, SendForm, and_more

LISTED = 50


class SendActionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the action "send a notification to the selected users". `users_of` maps the selected rows to users."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def users_of(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return users.people().filter(pk__in=queryset.order_by().values(users.key_name()))

    @admin.action(description=_("Send a notification to the selected users"), permissions=["send"])
    def send_notification(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        selected = self.users_of(queryset)
        found = list(users.active(selected).order_by(NAME).values_list("pk", NAME)[: MAX_RECEIVERS + 1])
        left_out = users.inactive([pk for pk, _ in found])
        names = [name for pk, name in found if name and pk not in left_out]
        if not names or len(names) > MAX_RECEIVERS:
            text = gettext("None of the selected users is active.")
            if names:
                text = gettext("More than %(most)s users are selected: that is too many at once.")
                text = f"{text % {'most': figure(MAX_RECEIVERS)}} {MORE}"
            self.message_user(request, text, messages.ERROR)
            return None
        if inactive := selected.count() - len(names):
            text = ngettext("%(count)s inactive user skipped.", "%(count)s inactive users skipped.", inactive)
            self.message_user(request, text % {"count": figure(inactive)}, messages.WARNING)
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
            text = gettext("This is being sent, or was sent, already: it is not sent twice.")
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
            text = gettext("No user is left to notify: this was already sent, and it is not sent twice.")
            return messages.WARNING, text
        count, names = len(rows), [receivers[row.user_id] for row in rows]
        with in_common_language():
            logged = ngettext(
                "Sent to %(count)s user: %(names)s.", "Sent to %(count)s users: %(names)s.", count
            ) % {"count": figure(count), "names": and_more(names[:LISTED], count - LISTED)}
        LogEntry.objects.create(
            user_id=sender.pk,
            content_type=ContentType.objects.get_for_model(Notification),
            object_id=str(rows[0].pk) if len(rows) == 1 else None,
            object_repr=rows[0].title,
            action_flag=ADDITION,
            change_message=logged,
        )
    text = ngettext(
        "“%(title)s” was sent to %(count)s user.", "“%(title)s” was sent to %(count)s users.", count
    )
    return messages.SUCCESS, text % {"title": cleaned["example"].title, "count": figure(count)}


def form_page(request: HttpRequest, form: Any) -> HttpResponse:
    who = tuple(name for name in ("to", "users", "usernames") if name in form.fields)
    what = ("notification_type", "title", "description", "level", "url")
    fieldsets: Any = [
        (pgettext("doorbell", "Recipients"), {"fields": who}),
        (capfirst(Notification._meta.verbose_name), {"fields": what}),
    ]
    adminform = AdminForm(form, fieldsets, {})
    return _page(request, "form", form, title=gettext("Send a notification"), adminform=adminform)


def confirmation_page(request: HttpRequest, form: SendForm) -> HttpResponse:
    receivers, example = list(form.cleaned_data["receivers"].values()), form.cleaned_data["example"]
    number = len(receivers)
    if (to := form.cleaned_data["to"]) != CHOSEN:
        receivers, number = [dict(audiences())[to]], form.cleaned_data["count"]
    return _page(
        request,
        "confirmation",
        form,
        title=gettext("Send this notification?"),
        example=example,
        kind=(type_label(example.notification_type), level_label(example.level)),
        number=number,
        figure=figure(number),
        listed=and_more(receivers[:LISTED], len(receivers) - LISTED),
    )


def _page(request: HttpRequest, name: str, form: SendForm, **context: Any) -> HttpResponse:
    shared = admin.site.each_context(request) | {
        "opts": Notification._meta,
        "form": form,
        "media": form.media,
    }
    return TemplateResponse(request, f"admin/messaging/notification/send_{name}.html", shared | context)
