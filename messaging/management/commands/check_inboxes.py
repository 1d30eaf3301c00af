from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.models import Count, Exists, F, Max, OuterRef, Q
from django.db.models.functions import Now

from messaging import repair
from messaging.dialects import triggers
from messaging.management.arguments import seconds
from messaging.management.base import DatabaseCommand
from messaging.models import Inbox, Notification
from messaging.orm.user_keys import query_name
from messaging.sequencing import assign_revisions

SHOWN = 20
UNREAD = Q(is_read=False, removed_at=None)


class Command(DatabaseCommand):
    help = (
        "Recount every inbox from its rows and report inconsistencies. Safe while servers run, and read-only without "
        "--repair. Exits with 1 if anything is inconsistent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="first repair what is inconsistent, and say what was done. The clients of a repaired inbox read their "
            "lists again: connected ones within REALTIME_SWEEP_SECONDS, the others when they connect",
        )
        parser.add_argument(
            "--pending-seconds",
            type=seconds,
            default=10,
            help="report notifications pending for longer than this (default: 10)",
        )

    def handle(self, *args: Any, pending_seconds: float, **options: Any) -> None:
        if options["repair"]:
            self.repair()
        faults = [
            *missing_triggers(),
            *wrong_inboxes(),
            *wrong_rows(),
            *overdue_rows(timedelta(seconds=pending_seconds)),
        ]
        for fault in faults[:SHOWN]:
            self.stderr.write(fault)
        if faults:
            raise CommandError(f"{len(faults)} inconsistencies, of which at most {SHOWN} are shown.")
        self.stdout.write(f"{Inbox.objects.count()} inboxes checked, all consistent.")

    def repair(self) -> None:
        if not triggers.exist(connection):
            triggers.create(connection)
            self.stdout.write("The triggers of notifications were missing, and have been created.")
        while owners := repair.mark_contradictory_rows():
            assign_revisions(owners)
            self.stdout.write(f"Contradictory rows of {len(owners)} users have got new revisions.")
        if created := repair.create_missing_inboxes():
            self.stdout.write(f"{created} inboxes were missing, and have been created.")
        for inbox in repair.repair_all():
            self.stdout.write(
                f"inbox of user {inbox.user_id}: unread_count {inbox.unread_before} recounted, is "
                f"{inbox.unread_count}; new epoch"
            )


def missing_triggers() -> Iterator[str]:
    if not triggers.exist(connection):
        yield "the triggers of notifications are missing, disabled or out of date: run `manage.py migrate`"


def wrong_inboxes() -> Iterator[str]:
    """Compare each inbox with its rows, in one statement and so one snapshot: revisions may be assigned meanwhile."""
    rows = f"user__{query_name(Notification)}"
    counted = Count(rows, filter=Q(**{f"{rows}__counted": True}))
    inboxes = Inbox.objects.annotate(rows=counted, highest=Max(f"{rows}__revision"))
    wrong = ~Q(rows=F("unread_count")) | Q(highest__gt=F("revision")) | Q(floor__gt=F("revision"))
    for inbox in inboxes.filter(wrong).order_by("user_id"):
        yield (
            f"inbox of user {inbox.user_id}: unread_count {inbox.unread_count}, counted rows {inbox.rows}, "
            f"revision {inbox.revision}, highest of a row {inbox.highest}, floor {inbox.floor}"
        )


def wrong_rows() -> Iterator[str]:
    """Find rows whose flags contradict each other. A pending row's may, until its revision is assigned."""
    settled = Notification.everything.filter(pending_since=None)
    for what, rows in (
        ("has no revision but isn't pending", settled.filter(revision=None)),
        ("is unread but not counted", settled.filter(UNREAD, counted=False)),
        ("is counted but not unread", settled.filter(~UNREAD, counted=True)),
        (
            "has a revision, but its user has no inbox",
            settled.exclude(Exists(Inbox.objects.filter(user_id=OuterRef("user_id")))),
        ),
    ):
        for pk, user_id in rows.order_by("pk").values_list("pk", "user_id"):
            yield f"notification {pk} of user {user_id} {what}"


def overdue_rows(age: timedelta) -> Iterator[str]:
    overdue = Notification.everything.filter(pending_since__lt=Now() - age).order_by("pk")
    for pk, user_id, since in overdue.values_list("pk", "user_id", "pending_since"):
        yield f"notification {pk} of user {user_id} has been pending since {since:%Y-%m-%d %H:%M:%S} UTC"
