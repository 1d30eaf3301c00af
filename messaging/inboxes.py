"""Reads inboxes for clients: their state, their positions, and what a client missed."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models import Min, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone

from . import names, schemas, users
from .dialects import dialect
from .models import Inbox, Notification
from .orm import sql
from .orm.querysets import NotificationQuerySet
from .sequencing import assign_pending

# More changed rows than this are not replayed: the client reloads the list instead.
MAX_REPLAYED_ROWS = 1_000
MAX_WAIT_SECONDS = 3.0
# Between two looks at rows that an open transaction holds: doubled each time, so that many who wait cost little.
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.005, 0.1
IDS_PER_READ = 1_000
MAX_ID = 2**63 - 1


class Position(NamedTuple):
    """A place in the sequence of an inbox's revisions. Positions of different epochs can't be compared."""

    revision: int
    epoch: str


@dataclass(slots=True)
class Missed:
    """An inbox as it stood at one moment, and the rows changed after a client's revision, up to one too many."""

    epoch: str
    revision: int
    unread_count: int
    floor: int
    rows: list["MissedRow"] = field(default_factory=list)

    @property
    def too_many(self) -> bool:
        return len(self.rows) > MAX_REPLAYED_ROWS


@dataclass(slots=True)
class MissedRow:
    """A notification as it stood at the inbox's revision; None when it had been removed."""

    id: int
    revision: int
    notification: schemas.Notification | None


def state(user_id: Any, including: Collection[int] = ()) -> Inbox:
    """Return a user's inbox, with everything committed before this call in it.

    That takes three seconds at most: a backlog that lasts longer stays pending. Rows that an open transaction holds are
    excepted. For the notifications `including` (ids) that transaction is waited for: of two calls that change the same
    rows, the second holds them just when the first one reads the state. Call it outside of transactions.
    """
    # In a transaction, which may have its snapshot from before the call, `assign_pending` raises an error.
    inbox = None if connection.in_atomic_block else _complete().filter(user_id=user_id).first()
    if inbox is None:
        ends = time.monotonic() + MAX_WAIT_SECONDS
        assign_pending([user_id], seconds=MAX_WAIT_SECONDS)
        pause = MIN_POLL_SECONDS
        while including and _is_any_pending(including) and time.monotonic() < ends:
            time.sleep(pause)
            pause = min(2 * pause, MAX_POLL_SECONDS)
            assign_pending([user_id], seconds=ends - time.monotonic())
        inbox = Inbox.objects.get(user_id=user_id)
    inbox.unread_count = max(0, inbox.unread_count)
    return inbox


def incomplete(user_ids: Collection[Any]) -> set[Any]:
    """Return those of these users who have pending notifications, or no inbox: `assign_pending` has work for them."""
    complete = _complete().filter(user_id__in=user_ids).values_list("user_id", flat=True)
    return set(user_ids).difference(complete)


def _complete() -> QuerySet[Inbox]:
    """Return the inboxes that have counted every notification that the same statement sees."""
    inbox, notification = Inbox._meta.db_table, Notification._meta.db_table
    is_complete = f"""
        NOT EXISTS (SELECT 1 FROM {notification} p WHERE p.user_id = {inbox}.user_id AND p.pending_since IS NOT NULL)
    """  # noqa: S608
    return Inbox.objects.filter(RawSQL(is_complete, [], models.BooleanField()))  # noqa: S611


def unread_count(user_id: Any) -> int:
    """Return how many notifications are unread. Only reads, and so may run in any transaction and on any page.

    In this order: with nothing pending, the inbox that is read afterwards has counted everything.
    """
    rows = Notification.objects.presentable().filter(user_id=user_id)
    if Notification.everything.filter(user_id=user_id, pending_since__isnull=False).exists():
        return rows.filter(is_read=False).count()
    count = Inbox.objects.filter(user_id=user_id).values_list("unread_count", flat=True).first()
    return max(0, count or 0)


def members(user_id: Any, pk: int, *, before: int | None, limit: int) -> NotificationQuerySet:
    """Return what a user's notification stands for, itself included, as far as pruning has left it: the newest so many.

    Tombstones, some of which others had collapsed into before they collapsed themselves. Their ids are chosen before
    anything is joined: the database's guess of their number may be wrong by far, and then it reads the whole table.
    """
    table = Notification._meta.db_table
    collapsed = f"""
        WITH RECURSIVE member(id) AS (
            SELECT CAST(%s AS bigint) UNION SELECT n.id FROM {table} n JOIN member m ON n.collapsed_into_id = m.id
        ) SELECT id FROM member WHERE id < %s ORDER BY id DESC LIMIT %s
    """  # noqa: S608
    chosen = RawSQL(collapsed, [pk, MAX_ID if before is None else before, limit])  # noqa: S611
    return Notification.everything.filter(user_id=user_id, pk__in=chosen)


def _is_any_pending(ids: Collection[int]) -> bool:
    ordered = sorted(ids)
    pending = Notification.everything.filter(pending_since__isnull=False)
    return any(
        pending.filter(id__in=ordered[start : start + IDS_PER_READ]).exists()
        for start in range(0, len(ordered), IDS_PER_READ)
    )


def positions(user_ids: Iterable[Any]) -> dict[Any, Position]:
    """Return the present positions of these users' inboxes."""
    rows = Inbox.objects.filter(user_id__in=user_ids).values_list("user_id", "revision", "epoch")
    return {user_id: Position(revision, epoch) for user_id, revision, epoch in rows}


def oldest_pending_seconds() -> float:
    """Return the age of the oldest pending notification in seconds; 0 if none is pending."""
    pending = Notification.everything.filter(pending_since__isnull=False)
    oldest: datetime | None = pending.aggregate(oldest=Min("pending_since"))["oldest"]
    return 0.0 if oldest is None else max(0.0, (timezone.now() - oldest).total_seconds())


def pending_users(*, older_than: timedelta, limit: int = 500) -> list[Any]:
    """Return up to `limit` users whose notifications have been pending for longer than that."""
    overdue = Notification.everything.filter(pending_since__lt=Now() - older_than)
    return list(overdue.order_by().values_list("user_id", flat=True).distinct()[:limit])


def missed(since: Mapping[Any, int]) -> dict[Any, Missed]:
    """Read the inboxes of these users (user id: the client's revision) and what changed after.

    All in one statement and so from one snapshot: were the rows read after the inbox, a row that changed in between
    would be in neither. With a revision of -1 only the inbox is read. Call `assign_pending` before, for those
    who are `incomplete`.
    """
    if not since:
        return {}
    rows = f"""
        SELECT id FROM {Notification._meta.db_table}
        WHERE user_id = i.user_id AND asked.since >= 0 AND revision > asked.since
        ORDER BY revision, id LIMIT {MAX_REPLAYED_ROWS + 1}
    """  # noqa: S608
    columns = ", ".join(f"n.{column}" for column in schemas.NOTIFICATION_COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH asked(user_id, since) AS (VALUES {", ".join(["(%s, %s)"] * len(since))})
            SELECT i.user_id AS inbox_user_id, i.epoch, i.revision AS inbox_revision, i.unread_count, i.floor,
                n.revision, n.removed_at, n.counted, n.pending_since, {columns},
                {sql.actor_name()} AS actor_username
            FROM asked JOIN {Inbox._meta.db_table} i ON i.user_id = CAST(asked.user_id AS {users.key_type()})
            {dialect().join_notifications(rows)}
            {sql.join_actor("n")}
            ORDER BY i.user_id, n.revision, n.id
            """,  # noqa: S608
            [value for pair in zip(users.to_db(since), since.values(), strict=True) for value in pair],
        )
        columns_read = [column[0] for column in cursor.description]
        found = [dict(zip(columns_read, row, strict=True)) for row in cursor.fetchall()]
    answer: dict[Any, Missed] = {}
    key_from_db = users.from_db()
    for row in found:
        row["inbox_user_id"], row["actor_id"] = (
            key_from_db(row["inbox_user_id"]),
            key_from_db(row["actor_id"]),
        )
    names.put(found, actor_id="actor_username")
    for row in found:
        user_id = row["inbox_user_id"]
        inbox = answer.get(user_id)
        if inbox is None:
            inbox = Missed(row["epoch"], row["inbox_revision"], max(0, row["unread_count"]), row["floor"])
            answer[user_id] = inbox
        if row["id"] is not None:
            inbox.rows.append(_missed_row(row))
    return answer


def _missed_row(row: Mapping[str, Any]) -> MissedRow:
    # A change made after assign_pending has no revision yet. Sent now, it would be counted only later: the unread
    # count of every frame until then would be wrong.
    if row["removed_at"] is not None and row["pending_since"] is None:
        return MissedRow(row["id"], row["revision"], None)
    shown = schemas.notification({**row, "is_read": not row["counted"]})
    return MissedRow(row["id"], row["revision"], shown)
