"""How history ends: old notifications become tombstones, old tombstones go, and an inbox's numbers start anew.

Called by commands, outside of transactions; each works through the table in short transactions and yields how far it
is. Nobody waits for one longer than for a save.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BooleanField, F, Func, Value
from django.db.models.functions import Now

from messaging.orm.querysets import NotificationQuerySet

from . import notification_types
from .dialects import dialect
from .models import Inbox, Notification, new_epoch
from .sequencing import assign_revisions

# As long as this, a client that was away can catch up on removals: docs/protocol.md promises it.
TOMBSTONE_AGE = timedelta(days=30)
# "Ada is online" is of no interest tomorrow.
PRESENCE_AGE = timedelta(days=1)
ROWS_PER_TRANSACTION = 500


def outdated(age: timedelta) -> Iterator[NotificationQuerySet]:
    """Living notifications older than that, and those about somebody's presence older than a day: type by type."""
    for name in _stored_types():
        ended = Now() - (PRESENCE_AGE if name in _ephemeral_types() else age)
        yield Notification.objects.filter(notification_type=name, created_at__lt=ended)


def _ephemeral_types() -> list[str]:
    return [declared.name for declared in notification_types.all_types() if declared.presence_like]


def _stored_types() -> Iterator[str]:
    """Every type that a living notification has, declared or no more: one step in the index for each."""
    names = Notification.objects.order_by("notification_type").values_list("notification_type", flat=True)
    name = names.first()
    while name is not None:
        yield name
        name = names.filter(notification_type__gt=name).first()


def forgotten() -> NotificationQuerySet:
    """Tombstones that everybody has had the time to hear of. A pending one has been told to nobody."""
    return Notification.everything.filter(removed_at__lt=Now() - TOMBSTONE_AGE, pending_since=None)


def remove_outdated(age: timedelta) -> Iterator[int]:
    """Remove outdated notifications from every device. Yields how many, batch by batch."""
    for rows in outdated(age):
        for ids in _batches(rows, "created_at"):
            with transaction.atomic():
                # What an open transaction holds is left for the next time: nobody waits for anybody here.
                locked = Notification.objects.filter(id__in=ids).select_for_update(
                    skip_locked=True, no_key=True
                )
                removed = dict(locked.values_list("id", "user_id"))
                Notification.everything.filter(id__in=removed).mark_pending(removed_at=Now())
            # Here, and not by whoever hears of touched inboxes: so this goes no faster than what it does is told.
            assign_revisions(set(removed.values()))
            yield len(removed)


def remove_ephemeral() -> int:
    """Remove what was said of somebody's presence more than a day ago, at most a batch. Returns how many it removed.

    Every server process calls this now and then. What one is at, the others pass over.
    """
    old = Notification.objects.filter(
        notification_type__in=_ephemeral_types(), created_at__lt=Now() - PRESENCE_AGE
    )
    with transaction.atomic():
        locked = old.select_for_update(skip_locked=True, no_key=True).order_by()
        removed = dict(locked.values_list("id", "user_id")[:ROWS_PER_TRANSACTION])
        if removed:
            Notification.everything.filter(id__in=removed).mark_pending(removed_at=Now())
    assign_revisions(set(removed.values()))
    return len(removed)


def delete_forgotten() -> Iterator[int]:
    """Delete forgotten tombstones for good. Yields how many, batch by batch.

    An inbox's `floor` rises to the highest revision deleted: whoever knows only of earlier ones may still show a row
    that has left no trace, and must read the list anew. Everybody else can still catch up.
    """
    for ids in _batches(forgotten(), "removed_at"):
        with transaction.atomic():
            users = set(
                Notification.everything.filter(id__in=ids).order_by().values_list("user_id", flat=True)
            )
            # First the inboxes and then the rows, as a stamp does.
            list(
                Inbox.objects.filter(user_id__in=users)
                .order_by("user_id")
                .select_for_update()
                .values_list("pk")
            )
            # Again: a row that has been touched meanwhile has something to tell first.
            rows = forgotten().filter(id__in=ids).select_for_update(skip_locked=True)
            chosen = list(rows.values_list("id", "user_id", "revision"))
            floors: dict[int, int] = {}
            for _, user_id, revision in chosen:
                floors[user_id] = max(revision or 0, floors.get(user_id, 0))
            dialect().raise_floors(floors)
            deleted = Notification.everything.filter(id__in=[pk for pk, _, _ in chosen]).hard_delete()
        yield deleted


def rotate_epochs() -> Iterator[int]:
    """Give every inbox a new epoch, so that no number from before is taken for one of now. Yields how many."""
    last = 0
    while True:
        with transaction.atomic():
            following = Inbox.objects.filter(user_id__gt=last).order_by("user_id").select_for_update()
            ids = list(following.values_list("user_id", flat=True)[:ROWS_PER_TRANSACTION])
            if not ids:
                return
            Inbox.objects.bulk_update([Inbox(user_id=pk, epoch=new_epoch()) for pk in ids], ["epoch"])
        last = ids[-1]
        yield len(ids)


def _batches(rows: NotificationQuerySet, moment: str) -> Iterator[list[int]]:
    """Walk through rows in the order of (moment, id), once: an index of the two leads from each batch to the next."""
    found = list(rows.order_by(moment, "id").values_list(moment, "id")[:ROWS_PER_TRANSACTION])
    while found:
        yield [pk for _, pk in found]
        following = rows.filter(_after(moment, *found[-1])).order_by(moment, "id")
        found = list(following.values_list(moment, "id")[:ROWS_PER_TRANSACTION])


def _after(moment: str, last: datetime, pk: int) -> Func:
    """The SQL of (moment, id) > (last, pk). As an OR it would begin anew with all rows of the same moment."""
    here, there = Func(F(moment), F("id"), function=""), Func(Value(last), Value(pk), function="")
    return Func(here, there, template="%(expressions)s", arg_joiner=" > ", output_field=BooleanField())
