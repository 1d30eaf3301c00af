"""The dealing of revisions: pending rows are numbered after commit, under the inbox's lock, and the inbox counts them.

Three statements a transaction for any number of users. READ COMMITTED is required: the second statement must see what
was committed while the first one waited for its locks.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.db.models import F

from messaging.orm.retry import LOCK_NOT_AVAILABLE, retry_on_transient, sqlstate

from . import schemas
from .events import revisions_assigned
from .models import Inbox, Notification
from .orm import sql

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


def assign_revisions(user_ids: Collection[int]) -> list[Revision]:
    """Deal the next revisions to these users' pending notifications and announce them (`revisions_assigned`).

    To be called outside of transactions. Rows that an open transaction holds stay pending, and so do those of an inbox
    that one holds for longer than a second; whoever ends that transaction, or the sweep, comes back for them. Makes
    missing inboxes; ids of nobody are ignored. Returns the revisions assigned, in rising order for each user.
    """
    revisions: list[Revision] = []
    ids = sorted(set(user_ids))
    for start in range(0, len(ids), USERS_PER_TRANSACTION):
        left = _assign_all(ids[start : start + USERS_PER_TRANSACTION], revisions, wait=False)
        # By themselves: the locked inbox of somebody who is being deleted, say, holds nobody else's up.
        if left and _assign_all(left, revisions, wait=True):
            logger.warning("pending notifications of %d users wait: somebody holds an inbox", len(left))
    return revisions


def _assign_all(user_ids: list[int], revisions: list[Revision], *, wait: bool) -> list[int]:
    """Deal until nothing of these users is pending. Returns those it wasn't done for."""

    def assign_batch() -> tuple[list[Revision], bool, list[int]]:
        with transaction.atomic(durable=True):
            return _assign_batch(user_ids, wait=wait)

    while True:
        try:
            assigned, complete, left = retry_on_transient(assign_batch)
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            return user_ids
        if assigned:
            revisions_assigned.send_robust(sender=Inbox, revisions=assigned)
        revisions += assigned
        if complete:
            return left


def _assign_batch(user_ids: list[int], *, wait: bool) -> tuple[list[Revision], bool, list[int]]:
    """Deal to a thousand rows. Returns the revisions, whether these were all, and the users it passed over.

    Without `wait` these are all whose inboxes aren't there, or are locked by somebody else.
    """
    inboxes = _lock(user_ids, wait=wait)
    left = [user_id for user_id in user_ids if user_id not in inboxes]
    if left and wait:
        users = get_user_model().objects.filter(pk__in=left).order_by("pk")
        missing = [Inbox(user_id=pk) for pk in users.values_list("pk", flat=True)]
        if missing:
            Inbox.objects.bulk_create(missing, ignore_conflicts=True)
            inboxes = _lock(user_ids, wait=wait)
        left = []
    number = _number_postgresql if connection.vendor == "postgresql" else _number_sqlite
    rows = number(inboxes)
    revisions = [
        _revision(inboxes[user_id], user_id, revision, list(group))
        for (user_id, revision), group in groupby(rows, key=lambda row: (row["user_id"], row["revision"]))
    ]
    _store({user_id: inboxes[user_id] for user_id in {row["user_id"] for row in rows}})
    return revisions, len(rows) < ROWS_PER_TRANSACTION, left


@dataclass(slots=True)
class _Inbox:
    revision: int
    unread_count: int


def _lock(user_ids: list[int], *, wait: bool) -> dict[int, _Inbox]:
    """Lock the inboxes in the order of user ids: in any other order, two stamps that wait deadlock.

    Those that somebody else has locked are left out, or with `wait` waited for, for a second each at most: then
    OperationalError.
    """
    rows: Iterable[tuple[int, int, int]]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            if wait:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute(
                f"SELECT user_id, revision, unread_count FROM {Inbox._meta.db_table}"  # noqa: S608
                f" WHERE user_id = ANY(%s) ORDER BY user_id FOR UPDATE{'' if wait else ' SKIP LOCKED'}",
                [user_ids],
            )
            rows = cursor.fetchall()
    else:
        # The transaction began IMMEDIATE: it has the only lock there is.
        rows = Inbox.objects.filter(user_id__in=user_ids).values_list("user_id", "revision", "unread_count")
    return {user_id: _Inbox(revision, unread_count) for user_id, revision, unread_count in rows}


def _number_postgresql(inboxes: Mapping[int, _Inbox]) -> list[dict[str, Any]]:
    columns = ["user_id", "revision", "counted", "removed_at", *schemas.NOTIFICATION_COLUMNS]
    # SKIP LOCKED is what makes it right, not only what makes it fast: a row held by an open transaction would
    # otherwise be waited for, numbered with the content seen before the wait, and its change never told.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH picked AS MATERIALIZED (
                SELECT id, user_id, actor_id, counted AS was_counted, revision AS was_revision
                FROM {Notification._meta.db_table}
                WHERE user_id = ANY(%s) AND pending_since IS NOT NULL
                ORDER BY user_id, id LIMIT {ROWS_PER_TRANSACTION}
                FOR UPDATE SKIP LOCKED
            ), numbered AS (
                SELECT p.*, {sql.actor_name()} AS actor_username, i.revision + 1
                    + (row_number() OVER (PARTITION BY p.user_id ORDER BY p.id) - 1) / {ROWS_PER_REVISION} AS next
                FROM picked p
                JOIN {Inbox._meta.db_table} i ON i.user_id = p.user_id
                {sql.join_actor("p")}
            )
            UPDATE {Notification._meta.db_table} n
            SET revision = d.next, pending_since = NULL, counted = NOT n.is_read AND n.removed_at IS NULL
            FROM numbered d WHERE n.id = d.id
            RETURNING {", ".join(f"n.{column}" for column in columns)},
                d.was_counted, d.was_revision, d.actor_username
            """,  # noqa: S608
            [list(inboxes)],
        )
        names = [*columns, "was_counted", "was_revision", "actor_username"]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    rows.sort(key=lambda row: (row["user_id"], row["id"]))
    return rows


def _number_sqlite(inboxes: Mapping[int, _Inbox]) -> list[dict[str, Any]]:
    # Nobody else writes (see _lock), and so what is read is what is written.
    rows = list(
        Notification.everything.filter(user_id__in=inboxes, pending_since__isnull=False)
        .order_by("user_id", "id")
        .values(
            *schemas.NOTIFICATION_COLUMNS,
            "user_id",
            "removed_at",
            was_counted=F("counted"),
            was_revision=F("revision"),
            actor_username=F(f"actor__{get_user_model().USERNAME_FIELD}"),
        )[:ROWS_PER_TRANSACTION]
    )
    for user_id, group in groupby(rows, key=lambda row: row["user_id"]):
        for place, row in enumerate(group):
            row["revision"] = inboxes[user_id].revision + 1 + place // ROWS_PER_REVISION
            row["counted"] = not row["is_read"] and row["removed_at"] is None
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {Notification._meta.db_table}"  # noqa: S608
            " SET revision = %s, pending_since = NULL, counted = %s WHERE id = %s",
            [(row["revision"], row["counted"], row["id"]) for row in rows],
        )
    return rows


def _revision(inbox: _Inbox, user_id: int, revision: int, rows: list[dict[str, Any]]) -> Revision:
    inbox.revision = revision
    inbox.unread_count += sum(row["counted"] - row["was_counted"] for row in rows)
    assigned = Revision(user_id, revision, inbox.unread_count)
    for row in rows:
        if row["removed_at"] is not None:
            assigned.removed.append(row["id"])
        elif row["was_revision"] is None:
            assigned.added.append(schemas.notification(row))
        elif row["is_read"]:
            assigned.read.append(row["id"])
        else:
            assigned.unread.append(row["id"])
    return assigned


def _store(inboxes: Mapping[int, _Inbox]) -> None:
    values = [(user_id, inbox.revision, inbox.unread_count) for user_id, inbox in sorted(inboxes.items())]
    if not values:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"UPDATE {Inbox._meta.db_table} i SET revision = d.revision, unread_count = d.unread_count"  # noqa: S608
                " FROM unnest(%s::bigint[], %s::bigint[], %s::int[]) AS d(user_id, revision, unread_count)"
                " WHERE i.user_id = d.user_id",
                [list(column) for column in zip(*values, strict=True)],
            )
        else:
            cursor.executemany(
                f"UPDATE {Inbox._meta.db_table} SET revision = %s, unread_count = %s WHERE user_id = %s",  # noqa: S608
                [(revision, unread_count, user_id) for user_id, revision, unread_count in values],
            )
