"""Broadcasts: whom they may be for, and what is under way and past, with progress, cancel and resume."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from messaging import broadcast_jobs, users
from messaging.models import BroadcastJob

from .common import ReadOnlyAdmin, figure, level_label, type_label
from .history import in_common_language

PERMISSION = "messaging.send_notification"
REFRESH_SECONDS = 2
CHOSEN, EVERYBODY, OF_GROUP = "chosen", "everybody", "group:"


def audiences() -> list[tuple[str, str]]:
    """Return the choices of whom to send to: a value, and a label that goes on after "To"."""
    groups = Group.objects.order_by("name").values_list("pk", "name") if users.has_groups() else ()
    return [
        (CHOSEN, gettext("the users chosen below")),
        (EVERYBODY, described(None)),
        *((f"{OF_GROUP}{pk}", described(name)) for pk, name in groups),
    ]


def described(group: str | None) -> str:
    """Return whom a broadcast is for: a group of this name, or everybody."""
    if group is None:
        return gettext("all active users")
    return gettext("the group “%(name)s”") % {"name": group}


def group_of(to: str) -> int | None:
    return int(to.removeprefix(OF_GROUP)) if to.startswith(OF_GROUP) else None


def begin(sender: Any, cleaned: dict[str, Any], content: dict[str, Any]) -> BroadcastJob | None:
    """Store the broadcast of a form, and log it. Returns None if that has been done."""
    group_id = group_of(cleaned["to"])
    groups = Group.objects.filter(pk=group_id or 0)
    group = groups.values_list("name", flat=True).first()
    # Each reads it in their language: `receivers` is the group's name, if it is for one.
    about = {"receivers": group or "", "sent_by": users.name_of(sender)[:254]}
    # Without a title it is the type's own.
    content = content | {"title": content["title"] or ""}
    job = broadcast_jobs.create(f"admin:{cleaned['key']}", group_id, content, **about)
    if job is not None:
        with in_common_language():
            done = ngettext(
                "Sent to %(receivers)s: %(count)s user.", "Sent to %(receivers)s: %(count)s users.", job.total
            ) % {"receivers": described(group), "count": figure(job.total)}
        LogEntry.objects.create(
            user_id=sender.pk,
            content_type=ContentType.objects.get_for_model(BroadcastJob),
            object_id=str(job.pk),
            object_repr=str(job),
            action_flag=ADDITION,
            change_message=done,
        )
    return job


def job_url(job: BroadcastJob, what: str = "change") -> str:
    return reverse(f"admin:messaging_broadcastjob_{what}", args=[job.pk])


@admin.register(BroadcastJob)
class BroadcastJobAdmin(ReadOnlyAdmin):
    """The right to send is the right to see and stop what is being sent."""

    list_display = ("title", "audience", "progress", "state", "sent_by", "created_at")
    list_filter = ("state",)
    fields = (
        "state",
        "progress",
        "error",
        "audience",
        "title",
        "description",
        "type_label",
        "level_label",
        "url",
        "sent_by",
        "created_at",
        "finished_at",
    )
    readonly_fields = fields
    ordering = ("-pk",)
    change_form_template = "admin/messaging/broadcastjob/change_form.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(PERMISSION) or super().has_view_permission(request, obj)

    def get_urls(self) -> Any:
        def of(action: Callable[[Any], bool], done: Promise) -> Any:
            @require_POST
            def view(request: HttpRequest, pk: int) -> HttpResponse:
                if not request.user.has_perm(PERMISSION):
                    raise PermissionDenied
                if action(pk):
                    self.message_user(request, str(done))
                else:
                    text = gettext("Nothing was changed: it had ended, or gone on.")
                    self.message_user(request, text, messages.WARNING)
                return HttpResponseRedirect(reverse("admin:messaging_broadcastjob_change", args=[pk]))

            return self.admin_site.admin_view(view)

        cancel = of(
            broadcast_jobs.cancel, _("Cancelled. Those who have been notified keep the notification.")
        )
        resume = of(broadcast_jobs.resume, _("It goes on. Nobody is notified twice."))
        return [
            path("<int:pk>/cancel/", cancel, name="messaging_broadcastjob_cancel"),
            path("<int:pk>/resume/", resume, name="messaging_broadcastjob_resume"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # One that its process has left, and a page that is looked at: enough for a project without a server of ours.
        broadcast_jobs.start_due()
        shown = {"may_send": request.user.has_perm(PERMISSION), "refresh_seconds": REFRESH_SECONDS}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @admin.display(description=pgettext_lazy("doorbell", "receivers"))
    def audience(self, job: BroadcastJob) -> str:
        return described(None if job.group_id is None else job.receivers)

    @admin.display(description=pgettext_lazy("doorbell", "type"))
    def type_label(self, job: BroadcastJob) -> str:
        return type_label(job.notification_type)

    @admin.display(description=pgettext_lazy("doorbell", "level"))
    def level_label(self, job: BroadcastJob) -> str:
        return level_label(job.level)

    @admin.display(description=pgettext_lazy("doorbell", "progress"))
    def progress(self, job: BroadcastJob) -> str:
        text = ngettext("%(done)s of %(total)s user", "%(done)s of %(total)s users", job.total)
        return format_html(
            '<progress max="{}" value="{}"></progress> {}',
            max(job.total, 1),
            job.done,
            text % {"done": figure(job.done), "total": figure(job.total)},
        )
