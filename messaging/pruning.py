"""Retention: old notifications become tombstones, old tombstones are deleted, and epochs are rotated.

Called outside of transactions. Each function works through the table in short transactions and yields the size of each
batch; no other transaction waits for one longer than for a save.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, F, Func, Value
from django.db.models.functions import Now

from messaging.orm.querysets import NotificationQuerySet, batch_after

from . import notification_types
from .dialects import dialect
from .models import Inbox, Notification, new_epoch
from .sequencing import assign_pending

# For this long a client that was away can catch up on removals: docs/protocol.md promises it.
TOMBSTONE_AGE = timedelta(days=30)
# "Ada is online" is of no interest the next day.
EPHEMERAL_AGE = timedelta(days=1)
ROWS_PER_TRANSACTION = 500


def outdated(age: timedelta) -> Iterator[NotificationQuerySet]:
    """Yield living notifications older than that, and ephemeral ones older than a day, type by type."""
    for name in _stored_types():
        ended = Now() - (EPHEMERAL_AGE if name in _ephemeral_types() else age)
        yield Notification.objects.filter(notification_type=name, created_at__lt=ended)


def _ephemeral_types() -> list[str]:
    return [declared.name for declared in notification_types.all_types() if declared.presence_like]


def _stored_types() -> Iterator[str]:
    """Yield every type of a living notification, declared or no longer: one index lookup each."""
    names = Notification.objects.order_by("notification_type").values_list("notification_type", flat=True)
    name = names.first()
    while name is not None:
        yield name
        name = names.filter(notification_type__gt=name).first()


def expired_tombstones() -> NotificationQuerySet:
    """Return tombstones past retention. Pending ones haven't been delivered yet and are kept."""
    return Notification.everything.filter(removed_at__lt=Now() - TOMBSTONE_AGE, pending_since=None)


def remove_outdated(age: timedelta) -> Iterator[int]:
    """Remove outdated notifications from every device. Yields how many, batch by batch."""
    for rows in outdated(age):
        for ids in _batches(rows, "created_at"):
            with transaction.atomic():
                # Rows that an open transaction holds are skipped until the next run, so that nothing waits here.
                locked = Notification.objects.filter(id__in=ids).select_for_update(
                    skip_locked=True, no_key=True
                )
                removed = dict(locked.values_list("id", "user_id"))
                Notification.everything.filter(id__in=removed).mark_pending(removed_at=Now())
            # Assigned here and not by a listener of notifications_pending: so pruning goes no faster than delivery.
            assign_pending(set(removed.values()))
            yield len(removed)


def remove_ephemeral() -> int:
    """Remove ephemeral notifications older than a day, at most one batch. Returns how many.

    Every server process calls this periodically. Rows that one of them has locked, the others skip.
    """
    old = Notification.objects.filter(
        notification_type__in=_ephemeral_types(), created_at__lt=Now() - EPHEMERAL_AGE
    )
    with transaction.atomic():
        locked = old.select_for_update(skip_locked=True, no_key=True).order_by()
        removed = dict(locked.values_list("id", "user_id")[:ROWS_PER_TRANSACTION])
        if removed:
            Notification.everything.filter(id__in=removed).mark_pending(removed_at=Now())
    assign_pending(set(removed.values()))
    return len(removed)


def delete_expired_tombstones() -> Iterator[int]:
    """Permanently delete expired tombstones. Yields the size of each batch.

    An inbox's `floor` rises to the highest revision deleted: a client below it may still show a row whose tombstone is
    gone, and must reload the list. All others can still catch up.
    """
    for ids in _batches(expired_tombstones(), "removed_at"):
        with transaction.atomic():
            users = set(
                Notification.everything.filter(id__in=ids).order_by().values_list("user_id", flat=True)
            )
            # First the inboxes and then the rows, in the same order as assign_pending.
            list(
                Inbox.objects.filter(user_id__in=users)
                .order_by("user_id")
                .select_for_update()
                .values_list("pk")
            )
            # Filtered again: a row that has been changed meanwhile is pending, and must be delivered first.
            rows = expired_tombstones().filter(id__in=ids).select_for_update(skip_locked=True)
            chosen = list(rows.values_list("id", "user_id", "revision"))
            floors: dict[Any, int] = {}
            for _, user_id, revision in chosen:
                floors[user_id] = max(revision or 0, floors.get(user_id, 0))
            dialect().raise_floors(floors)
            deleted = Notification.everything.filter(id__in=[pk for pk, _, _ in chosen]).hard_delete()
        yield deleted


def rotate_epochs() -> Iterator[int]:
    """Give every inbox a new epoch, so that no earlier revision is taken for a present one. Yields batch sizes."""
    last: Any = None
    while True:
        with transaction.atomic():
            ids = batch_after(Inbox.objects.select_for_update(), last, "user_id", ROWS_PER_TRANSACTION)
            if not ids:
                return
            Inbox.objects.bulk_update([Inbox(user_id=pk, epoch=new_epoch()) for pk in ids], ["epoch"])
        last = ids[-1]
        yield len(ids)


def _batches(rows: NotificationQuerySet, moment: str) -> Iterator[list[int]]:
    """Yield ids in the order of (moment, id), batch by batch: an index of the two finds each next batch."""
    found = list(rows.order_by(moment, "id").values_list(moment, "id")[:ROWS_PER_TRANSACTION])
    while found:
        yield [pk for _, pk in found]
        following = rows.filter(_after(moment, *found[-1])).order_by(moment, "id")
        found = list(following.values_list(moment, "id")[:ROWS_PER_TRANSACTION])


def _after(moment: str, last: datetime, pk: int) -> Func:
    """Return the SQL of (moment, id) > (last, pk). As an OR it would scan all rows of the same moment again."""
    here, there = Func(F(moment), F("id"), function=""), Func(Value(last), Value(pk), function="")
    return Func(here, there, template="%(expressions)s", arg_joiner=" > ", output_field=BooleanField())
