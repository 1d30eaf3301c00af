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
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from messaging import broadcast_jobs, users
from messaging.models import BroadcastJob

from .common import ReadOnlyAdmin, counted

PERMISSION = "messaging.send_notification"
REFRESH_SECONDS = 2
CHOSEN, EVERYBODY, OF_GROUP = "chosen", "everybody", "group:"


def audiences() -> list[tuple[str, str]]:
    """Return the choices of whom to send to: a value, and a label that goes on after "To"."""
    groups = Group.objects.order_by("name").values_list("pk", "name") if users.has_groups() else ()
    return [
        (CHOSEN, "the users chosen below"),
        (EVERYBODY, "all active users"),
        *((f"{OF_GROUP}{pk}", f"the group “{name}”") for pk, name in groups),
    ]


def group_of(to: str) -> int | None:
    return int(to.removeprefix(OF_GROUP)) if to.startswith(OF_GROUP) else None


def begin(sender: Any, cleaned: dict[str, Any], content: dict[str, Any]) -> BroadcastJob | None:
    """Store the broadcast of a form, and log it. Returns None if that has been done."""
    receivers = dict(audiences())[cleaned["to"]]
    about = {"receivers": receivers[:200], "sent_by": users.name_of(sender)[:254]}
    # Without a title it is the type's own.
    content = content | {"title": content["title"] or ""}
    job = broadcast_jobs.create(f"admin:{cleaned['key']}", group_of(cleaned["to"]), content, **about)
    if job is not None:
        LogEntry.objects.create(
            user_id=sender.pk,
            content_type=ContentType.objects.get_for_model(BroadcastJob),
            object_id=str(job.pk),
            object_repr=str(job),
            action_flag=ADDITION,
            change_message=f"Sent to {receivers}: {counted(job.total, 'user')}.",
        )
    return job


def job_url(job: BroadcastJob, what: str = "change") -> str:
    return reverse(f"admin:messaging_broadcastjob_{what}", args=[job.pk])


@admin.register(BroadcastJob)
class BroadcastJobAdmin(ReadOnlyAdmin):
    """The right to send is the right to see and stop what is being sent."""

    list_display = ("title", "receivers", "progress", "state", "sent_by", "created_at")
    list_filter = ("state",)
    fields = (
        "state",
        "progress",
        "error",
        "receivers",
        "title",
        "description",
        "notification_type",
        "level",
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
        def of(action: Callable[[Any], bool], done: str) -> Any:
            @require_POST
            def view(request: HttpRequest, pk: int) -> HttpResponse:
                if not request.user.has_perm(PERMISSION):
                    raise PermissionDenied
                if action(pk):
                    self.message_user(request, done)
                else:
                    self.message_user(
                        request, "Nothing was changed: it had ended, or gone on.", messages.WARNING
                    )
                return HttpResponseRedirect(reverse("admin:messaging_broadcastjob_change", args=[pk]))

            return self.admin_site.admin_view(view)

        cancel = of(broadcast_jobs.cancel, "Cancelled. Those who have been notified keep the notification.")
        resume = of(broadcast_jobs.resume, "It goes on. Nobody is notified twice.")
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

    @admin.display(description="progress")
    def progress(self, job: BroadcastJob) -> str:
        return format_html(
            '<progress max="{}" value="{}"></progress> {} of {} users',
            max(job.total, 1),
            job.done,
            f"{job.done:,}",
            f"{job.total:,}",
        )
