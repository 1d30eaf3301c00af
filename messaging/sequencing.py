"""Assigns revisions to pending notifications after commit, under the lock of each inbox, and counts the unread ones.

Three statements a transaction for any number of users (messaging/dialects). READ COMMITTED is required: the second
statement must see what was committed while the first one waited for its locks.
"""

import logging
import math
import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Max, Q
from django.db.models.functions import Now

from messaging.orm.retry import LOCK_NOT_AVAILABLE, retry_on_transient, sqlstate

from . import grouping, names, schemas, stored_functions, users
from .dialects import InboxState, NumberedRow, base, dialect
from .dialects.base import REVISION_BYTES, weight_of
from .events import revisions_assigned
from .models import Inbox, Notification

logger = logging.getLogger(__name__)

USERS_PER_TRANSACTION = 500
# They hold the inbox for some 30 ms, and more in one transaction save nothing.
ROWS_PER_TRANSACTION = 500
ROWS_PER_REVISION = base.ROWS_PER_REVISION
LOCK_SECONDS = 1.0
# SQLite's clock counts milliseconds: a row's time and that of a query are both cut.
CLOCK_RESOLUTION = timedelta(milliseconds=1)
# In a step that waits for no locked inbox: how long the creation of a missing one may be held up.
CREATE_LOCK_SECONDS = 0.02


@dataclass(slots=True)
class Revision:
    """One step of an inbox: what became new, read, unread or gone, and the exact count of unread ones after it."""

    user_id: Any
    revision: int
    unread_count: int
    added: list[schemas.Notification] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)


class Step(NamedTuple):
    """What one transaction did, and which of its users need another one."""

    revisions: list[Revision]
    # The rows of others took all of the transaction, or the inbox has only just been created.
    unserved: list[Any]
    # May have more pending rows.
    unfinished: list[Any]
    # Another transaction holds the inbox, and may be numbering its rows.
    locked: list[Any]


def assign_revisions(user_ids: Collection[Any]) -> list[Revision]:
    """Assign the next revisions to these users' pending notifications, and send `revisions_assigned`.

    Call it outside of transactions. Rows that an open transaction holds stay pending, and so do those of an inbox that
    one holds for longer than a second: the end of that transaction, or the sweep, calls this again. Creates missing
    inboxes; ignores unknown user ids. Returns the revisions, in rising order for each user.
    """
    return [revision for revisions in _assigned(user_ids, LOCK_SECONDS) for revision in revisions]


def assign_pending(
    user_ids: Collection[Any], *, seconds: float = math.inf, lock_seconds: float = LOCK_SECONDS
) -> int:
    """Do the same as `assign_revisions`, but for about so long at most, and hold no revisions in memory.

    What remains then stays pending, for the relay and the sweep. Returns how many revisions were assigned.
    """
    ends = time.monotonic() + seconds
    count = 0
    for revisions in _assigned(user_ids, lock_seconds):
        count += len(revisions)
        if time.monotonic() > ends:
            break
    return count


def _assigned(user_ids: Collection[Any], lock_seconds: float) -> Iterator[list[Revision]]:
    """Assign, and yield what each transaction assigned."""
    ids = sorted(set(user_ids))
    for start in range(0, len(ids), USERS_PER_TRANSACTION):
        locked = yield from _assign_all(ids[start : start + USERS_PER_TRANSACTION])
        # In transactions of their own: a locked inbox, of a user who is being deleted, say, delays no other user's.
        if locked and (yield from _assign_all(locked, lock_seconds)):
            logger.warning(
                "inbox locked by another transaction; notifications of %d users stay pending until the sweep",
                len(locked),
            )


def _assign_all(
    user_ids: list[Any], lock_seconds: float | None = None
) -> Generator[list[Revision], None, list[Any]]:
    """Assign revisions to what is pending when this begins. Returns the users whose inbox is locked.

    Not until nothing is pending: while a writer goes on, that may be never.
    """
    locked: list[Any] = []
    began = time.monotonic()
    while user_ids:
        step = assign_step(user_ids, lock_seconds)
        locked += step.locked
        if step.revisions:
            yield step.revisions
        user_ids = step.unserved + step.unfinished
        if user_ids:
            before = Now() - timedelta(seconds=time.monotonic() - began) + CLOCK_RESOLUTION
            pending = Notification.everything.filter(user_id__in=user_ids, pending_since__lte=before)
            left = set(pending.order_by().values_list("user_id", flat=True).distinct())
            user_ids = [user_id for user_id in user_ids if user_id in left]
    return locked


def assign_step(
    user_ids: Collection[Any], lock_seconds: float | None = None, rows: int | None = None
) -> Step:
    """Assign revisions in one transaction, to at most so many rows, and send `revisions_assigned`.

    Call it again for those whom it returns. `lock_seconds`: how long a locked inbox is waited for; without it not at
    all. `user_ids`: USERS_PER_TRANSACTION at most. `rows`: ROWS_PER_TRANSACTION by default.
    """
    ids = sorted(user_ids)

    def assign_batch() -> Step:
        if (
            lock_seconds is None
            and (step := _number_in_one_call(ids, rows or ROWS_PER_TRANSACTION)) is not None
        ):
            return step
        with transaction.atomic(durable=True):
            return number_pending(ids, lock_seconds=lock_seconds, limit=rows or ROWS_PER_TRANSACTION)

    try:
        step = retry_on_transient(assign_batch)
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return Step([], [], [], ids)
    if step.revisions:
        revisions_assigned.send_robust(sender=Inbox, revisions=step.revisions)
    return step if not step.locked else _with_missing_created(step, lock_seconds)


def _number_in_one_call(user_ids: list[Any], limit: int) -> Step | None:
    """Do the same as `number_pending` in a fifth of the round trips, for few rows. None if that can't be done here."""
    if limit > ROWS_PER_REVISION or connection.in_atomic_block or not connection.get_autocommit():
        return None
    found = stored_functions.number(user_ids, limit)
    if found is None:
        return None
    rows = [row for row in found if row["id"] is not None]
    names.put(rows, actor_id="actor_username")
    revisions = []
    for _, group in groupby(rows, key=lambda row: row["user_id"]):
        of_one = list(group)
        revision = Revision(of_one[0]["user_id"], of_one[0]["revision"], of_one[0]["unread_count"])
        _put_rows(revision, of_one)
        revisions.append(revision)
    held = list(dict.fromkeys(row["user_id"] for row in found))
    step = _step(revisions, user_ids, held, rows, limit)
    # Of these some rows may be left, and those after may have got none: they are asked for again, rather than weighed
    # to the byte.
    heavy = [revision.user_id for revision in revisions if _weight(rows, revision) > REVISION_BYTES // 4]
    if not heavy:
        return step
    served = {revision.user_id for revision in revisions}
    unserved = [user_id for user_id in held if user_id not in served]
    return step._replace(unserved=unserved, unfinished=list(dict.fromkeys([*step.unfinished, *heavy])))


def _weight(rows: list[NumberedRow], revision: Revision) -> int:
    return sum(
        weight_of(row, REVISION_BYTES)
        for row in rows
        if row["user_id"] == revision.user_id and row["data"] is not None
    )


def number_pending(
    user_ids: list[Any], *, lock_seconds: float | None = None, limit: int = ROWS_PER_TRANSACTION
) -> Step:
    """Assign revisions in the current transaction, which holds the inboxes from here on. Sends no signal."""
    database = dialect()
    inboxes = database.lock_inboxes(user_ids, wait_seconds=lock_seconds)
    rows = database.number_rows(inboxes, limit=limit, rows_per_revision=ROWS_PER_REVISION)
    names.put(rows, actor_id="actor_username")
    announced = rows
    if any(map(base.is_new_in_group, rows)):
        announced = grouping.collapse(rows, inboxes, ROWS_PER_REVISION)
    revisions: list[Revision] = []
    changed: dict[Any, InboxState] = {}
    for (user_id, number), group in groupby(announced, key=lambda row: (row["user_id"], row["revision"])):
        before = changed.get(user_id, inboxes[user_id])
        revision = _revision(user_id, number, before.unread_count, list(group))
        changed[user_id] = InboxState(number, revision.unread_count)
        revisions.append(revision)
    if changed:
        database.store_inboxes(changed)
    return _step(revisions, user_ids, list(inboxes), rows, limit)


def _step(
    revisions: list[Revision], user_ids: list[Any], held: list[Any], rows: list[NumberedRow], limit: int
) -> Step:
    """`held`: whose inbox was locked here, in this order."""
    free = set(held)
    locked = [user_id for user_id in user_ids if user_id not in free]
    if len(rows) < limit:
        return Step(revisions, [], [], locked)
    # Rows come in the order of inboxes: the last one's may have been cut off, and those after got none.
    last = rows[-1]["user_id"]
    return Step(revisions, held[held.index(last) + 1 :], [last], locked)


def _with_missing_created(step: Step, lock_seconds: float | None) -> Step:
    """Create the inboxes that are missing, and not locked: their users need another step."""
    there = set(Inbox.objects.filter(user_id__in=step.locked).values_list("user_id", flat=True))
    missing = [user_id for user_id in step.locked if user_id not in there]
    if not missing:
        return step

    def create() -> list[Any]:
        with transaction.atomic(durable=True):
            # A user who is being deleted holds this up.
            dialect().limit_lock_wait(CREATE_LOCK_SECONDS if lock_seconds is None else lock_seconds)
            return _create_inboxes(missing)

    try:
        created = retry_on_transient(create)
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return step
    return step._replace(
        unserved=[*created, *step.unserved], locked=[user_id for user_id in step.locked if user_id in there]
    )


def _create_inboxes(user_ids: list[Any]) -> list[Any]:
    """Create the inboxes of those of these users who exist. Returns their ids.

    Rows that were numbered without their inbox, or survived it, were restored alone, say: it goes on where they end.
    """
    rows = Notification.everything.filter(user_id__in=user_ids, revision__isnull=False).order_by()
    counts = rows.values("user_id").annotate(
        highest=Max("revision"), unread=Count("id", filter=Q(counted=True))
    )
    found = {row["user_id"]: (row["highest"], row["unread"]) for row in counts}
    # Those hidden by the project's manager, too: their rows would never be numbered otherwise.
    owners = users.everybody().filter(pk__in=user_ids).order_by("pk")
    missing = []
    for pk in owners.values_list("pk", flat=True):
        highest, unread = found.get(pk, (0, 0))
        missing.append(Inbox(user_id=pk, revision=highest, unread_count=unread, floor=highest))
    Inbox.objects.bulk_create(missing, ignore_conflicts=True)
    return [inbox.user_id for inbox in missing]


def _revision(user_id: Any, number: int, unread_before: int, rows: list[NumberedRow]) -> Revision:
    difference = sum(row["counted"] - row["was_counted"] for row in rows)
    # Below zero only if a count was wrong already: messaging/repair.py recounts it.
    revision = Revision(user_id, number, max(0, unread_before + difference))
    _put_rows(revision, rows)
    return revision


def _put_rows(revision: Revision, rows: list[NumberedRow]) -> None:
    for row in rows:
        if row["removed_at"] is not None:
            revision.removed.append(row["id"])
        elif row["was_revision"] is None:
            revision.added.append(schemas.notification(row))
        elif row["is_read"]:
            revision.read.append(row["id"])
        else:
            revision.unread.append(row["id"])
