"""Finds and repairs inboxes that disagree with their rows: restored, or written past the ORM and past the triggers.

Notifications that are created, changed or given to others need none of this. It changes no notification.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from messaging.orm.querysets import NotificationQuerySet, batch_after
from messaging.orm.retry import retry_on_transient

from .dialects import dialect
from .models import CONTRADICTORY, Inbox, Notification, new_epoch
from .sequencing import assign_pending

ROWS_PER_TRANSACTION = 1_000
INBOXES_PER_TRANSACTION = 100
# How many inboxes one round of `Rotation` checks: of connected users, and of all.
CONNECTED_PER_ROUND = 500
OTHERS_PER_ROUND = 100


class Recounted(NamedTuple):
    """An inbox that was repaired, with its count before and after."""

    user_id: Any
    unread_before: int
    unread_count: int


def contradictory_rows() -> NotificationQuerySet:
    """Return rows that have no revision and aren't pending, or that are either unread or counted but not both."""
    return Notification.everything.filter(CONTRADICTORY)


def mark_contradictory_rows() -> set[Any]:
    """Mark such rows pending, so that they are numbered, counted and delivered; one batch. Returns their owners."""
    with transaction.atomic():
        locked = (
            contradictory_rows().order_by("user_id", "id").select_for_update(skip_locked=True, no_key=True)
        )
        owners = dict(locked.values_list("id", "user_id")[:ROWS_PER_TRANSACTION])
        if owners:
            Notification.everything.filter(id__in=owners).mark_pending()
    return set(owners.values())


def wrong_inboxes(user_ids: Collection[Any]) -> QuerySet[Inbox]:
    """Return those of these users' inboxes that disagree with their rows.

    Exact while others write, since all is read from one snapshot: as long as rows are pending or contradictory, an
    inbox can't agree with them, and isn't among these.
    """
    rows = Notification.everything.filter(user_id=OuterRef("user_id")).order_by()
    numbered = rows.filter(revision__isnull=False).order_by("-revision")
    inboxes = Inbox.objects.filter(
        ~Exists(rows.filter(pending_since__isnull=False)),
        ~Exists(rows.filter(CONTRADICTORY)),
        user_id__in=user_ids,
    ).annotate(
        unread=_count(rows.filter(is_read=False, removed_at=None)),
        highest=Coalesce(Subquery(numbered.values("revision")[:1]), 0),
    )
    wrong = ~Q(unread_count=F("unread")) | Q(revision__lt=F("highest")) | Q(floor__gt=F("revision"))
    return inboxes.filter(wrong).order_by("user_id")


def _count(rows: NotificationQuerySet) -> Coalesce:
    return Coalesce(Subquery(rows.values("user_id").annotate(count=Count("id")).values("count")), 0)


def repair(user_ids: Collection[Any]) -> list[Recounted]:
    """Recount those of these inboxes that are wrong, in short transactions. Returns what was repaired.

    Each begins a new epoch, and so do the clients: they read their lists again. An inbox that another transaction holds
    is left for the next time.
    """
    wrong = list(wrong_inboxes(user_ids).values_list("user_id", flat=True))
    repaired: list[Recounted] = []
    for start in range(0, len(wrong), INBOXES_PER_TRANSACTION):
        ids = wrong[start : start + INBOXES_PER_TRANSACTION]
        repaired += retry_on_transient(partial(_repair, ids))
    return repaired


@transaction.atomic
def _repair(user_ids: list[Any]) -> list[Recounted]:
    # Looked at again under the lock: another process may have repaired them.
    wrong = list(wrong_inboxes(dialect().lock_inboxes(user_ids, wait_seconds=None)))
    # By `counted`, which only a holder of the lock changes: it stands for what clients have been sent.
    rows = Notification.everything.filter(user_id__in=[inbox.pk for inbox in wrong]).order_by()
    counts = rows.values("user_id").annotate(
        unread=Count("id", filter=Q(counted=True)), highest=Max("revision")
    )
    found = {row["user_id"]: (row["unread"], row["highest"] or 0) for row in counts}
    repaired = []
    for inbox in wrong:
        before = inbox.unread_count
        inbox.unread_count, last = found.get(inbox.pk, (0, 0))
        # A client that sends no epoch with its revision is below the floor, and so is reset as well.
        inbox.revision = inbox.floor = max(inbox.revision, inbox.floor, last) + 1
        inbox.epoch = new_epoch()
        repaired.append(Recounted(inbox.pk, before, inbox.unread_count))
    Inbox.objects.bulk_update(wrong, ["epoch", "revision", "floor", "unread_count"])
    return repaired


def repair_all() -> Iterator[Recounted]:
    """Repair every inbox that is wrong, batch by batch."""
    last: Any = None
    while ids := batch_after(Inbox.objects.all(), last, "user_id", CONNECTED_PER_ROUND):
        # As long as rows are pending, nothing can be said of their inbox.
        pending = Notification.everything.filter(user_id__in=ids, pending_since__isnull=False)
        assign_pending(set(pending.order_by().values_list("user_id", flat=True).distinct()))
        yield from repair(ids)
        last = ids[-1]


def create_missing_inboxes() -> int:
    """Create the inboxes of users who have notifications without one. Returns how many."""
    without = Notification.everything.filter(~Exists(Inbox.objects.filter(user_id=OuterRef("user_id"))))
    user_ids = set(without.order_by().values_list("user_id", flat=True).distinct())
    assign_pending(user_ids)
    return len(user_ids)


class Rotation:
    """Checks a bounded number of inboxes at a time, round and round: connected users' first, and some of all others."""

    def __init__(self) -> None:
        self._last_connected: Any = None
        self._last_other: Any = None

    def repair(self, connected: Collection[Any]) -> list[Recounted]:
        """Repair what is wrong among the next inboxes."""
        owners = mark_contradictory_rows()
        chosen = self._next_connected(sorted(connected))
        assign_pending(owners | self._without_inbox(chosen))
        return repair({*chosen, *self._next_others(), *owners})

    def _next_connected(self, connected: list[Any]) -> list[Any]:
        last = self._last_connected
        start = 0 if last is None else bisect_right(connected, last)
        chosen = connected[start : start + CONNECTED_PER_ROUND]
        if start + CONNECTED_PER_ROUND >= len(connected):
            chosen += connected[: min(start, CONNECTED_PER_ROUND - len(chosen))]
        self._last_connected = chosen[-1] if chosen else None
        return chosen

    def _next_others(self) -> list[Any]:
        chosen = batch_after(Inbox.objects.all(), self._last_other, "user_id", OTHERS_PER_ROUND)
        self._last_other = chosen[-1] if len(chosen) == OTHERS_PER_ROUND else None
        return chosen

    def _without_inbox(self, user_ids: list[Any]) -> set[Any]:
        return set(user_ids).difference(
            Inbox.objects.filter(user_id__in=user_ids).values_list("user_id", flat=True)
        )
