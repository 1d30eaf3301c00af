"""Assigns revisions to pending notifications after commit, under the lock of each inbox, and counts the unread ones.

Three statements a transaction for any number of users (messaging/dialects). READ COMMITTED is required: the second
statement must see what was committed while the first one waited for its locks.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import OperationalError, transaction
from django.db.models import Count, Max, Q

from messaging.orm.retry import LOCK_NOT_AVAILABLE, retry_on_transient, sqlstate

from . import schemas
from .dialects import InboxState, NumberedRow, dialect
from .events import revisions_assigned
from .models import Inbox, Notification

logger = logging.getLogger(__name__)

USERS_PER_TRANSACTION = 500
# A thousand hold the inbox for some 60 ms, and more in one transaction save nothing.
ROWS_PER_TRANSACTION = 1_000
ROWS_PER_REVISION = 100
LOCK_SECONDS = 1


@dataclass(slots=True)
class Revision:
    """One step of an inbox: what became new, read, unread or gone, and the exact count of unread ones after it."""

    user_id: int
    revision: int
    unread_count: int
    added: list[schemas.Notification] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)


class _Batch(NamedTuple):
    """What one transaction did. `skipped`: users whose inbox is missing or locked by another transaction."""

    revisions: list[Revision]
    is_last: bool
    skipped: list[int]


def assign_revisions(user_ids: Collection[int]) -> list[Revision]:
    """Assign the next revisions to these users' pending notifications, and send `revisions_assigned`.

    Call it outside of transactions. Rows that an open transaction holds stay pending, and so do those of an inbox that
    one holds for longer than a second: the end of that transaction, or the sweep, calls this again. Creates missing
    inboxes; ignores unknown user ids. Returns the revisions, in rising order for each user.
    """
    revisions: list[Revision] = []
    ids = sorted(set(user_ids))
    for start in range(0, len(ids), USERS_PER_TRANSACTION):
        skipped = _assign_all(ids[start : start + USERS_PER_TRANSACTION], revisions, wait=False)
        # In transactions of their own: a locked inbox, of a user who is being deleted, say, delays no other user's.
        if skipped and _assign_all(skipped, revisions, wait=True):
            logger.warning(
                "inbox locked by another transaction; notifications of %d users stay pending until the sweep",
                len(skipped),
            )
    return revisions


def _assign_all(user_ids: list[int], revisions: list[Revision], *, wait: bool) -> list[int]:
    """Assign revisions until none of these users has a pending row, and append them. Returns the skipped users."""

    def assign_batch() -> _Batch:
        with transaction.atomic(durable=True):
            return _assign_batch(user_ids, wait=wait)

    while True:
        try:
            batch = retry_on_transient(assign_batch)
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            return user_ids
        if batch.revisions:
            revisions_assigned.send_robust(sender=Inbox, revisions=batch.revisions)
        revisions += batch.revisions
        if batch.is_last:
            return batch.skipped


def _assign_batch(user_ids: list[int], *, wait: bool) -> _Batch:
    """Assign revisions to at most ROWS_PER_TRANSACTION rows. With `wait` no user is skipped."""
    database, wait_seconds = dialect(), LOCK_SECONDS if wait else None
    inboxes = database.lock_inboxes(user_ids, wait_seconds=wait_seconds)
    skipped = [user_id for user_id in user_ids if user_id not in inboxes]
    if skipped and wait:
        if _create_inboxes(skipped):
            inboxes = database.lock_inboxes(user_ids, wait_seconds=wait_seconds)
        skipped = []
    rows = database.number_rows(inboxes, limit=ROWS_PER_TRANSACTION, rows_per_revision=ROWS_PER_REVISION)
    revisions: list[Revision] = []
    changed: dict[int, InboxState] = {}
    for (user_id, number), group in groupby(rows, key=lambda row: (row["user_id"], row["revision"])):
        before = changed.get(user_id, inboxes[user_id])
        revision = _revision(user_id, number, before.unread_count, list(group))
        changed[user_id] = InboxState(number, revision.unread_count)
        revisions.append(revision)
    if changed:
        database.store_inboxes(changed)
    return _Batch(revisions, len(rows) < ROWS_PER_TRANSACTION, skipped)


def _create_inboxes(user_ids: list[int]) -> bool:
    """Create the inboxes of those of these users who exist. Returns whether there are any.

    Rows that were numbered without their inbox, or survived it, were restored alone, say: it goes on where they end.
    """
    rows = Notification.everything.filter(user_id__in=user_ids, revision__isnull=False).order_by()
    counts = rows.values("user_id").annotate(
        highest=Max("revision"), unread=Count("id", filter=Q(counted=True))
    )
    found = {row["user_id"]: (row["highest"], row["unread"]) for row in counts}
    users = get_user_model().objects.filter(pk__in=user_ids).order_by("pk")
    missing = []
    for pk in users.values_list("pk", flat=True):
        highest, unread = found.get(pk, (0, 0))
        missing.append(Inbox(user_id=pk, revision=highest, unread_count=unread, floor=highest))
    if missing:
        Inbox.objects.bulk_create(missing, ignore_conflicts=True)
    return bool(missing)


def _revision(user_id: int, number: int, unread_before: int, rows: list[NumberedRow]) -> Revision:
    difference = sum(row["counted"] - row["was_counted"] for row in rows)
    # Below zero only if a count was wrong already: messaging/repair.py recounts it.
    revision = Revision(user_id, number, max(0, unread_before + difference))
    for row in rows:
        if row["removed_at"] is not None:
            revision.removed.append(row["id"])
        elif row["was_revision"] is None:
            revision.added.append(schemas.notification(row))
        elif row["is_read"]:
            revision.read.append(row["id"])
        else:
            revision.unread.append(row["id"])
    return revision
