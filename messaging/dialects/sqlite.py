"""SQLite: one writer at a time, so a transaction that began IMMEDIATE has the only lock there is. See base.Dialect."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import F, Model

from messaging import names, schemas, users
from messaging.models import Inbox, Notification

from .base import REVISION_BYTES, InboxState, NumberedRow, is_new_in_group, weight_of
from .triggers import SQLITE_NOW

# The database's `timeout`: no other writer can wait longer for a transaction than this, so none should last as long.
MAX_TRANSACTION = timedelta(seconds=30)


def lock_inboxes(user_ids: list[Any], *, wait_seconds: float | None) -> dict[Any, InboxState]:
    rows = Inbox.objects.filter(user_id__in=user_ids).order_by("user_id")
    states = rows.values_list("user_id", "revision", "unread_count")
    return {user_id: InboxState(*state) for user_id, *state in states}


def limit_lock_wait(seconds: float) -> None:
    # Nothing is waited for: the transaction has the only lock already.
    return


def number_rows(
    inboxes: Mapping[Any, InboxState], *, limit: int, rows_per_revision: int
) -> list[NumberedRow]:
    # No other transaction writes, and so what is read here is what is numbered.
    rows = list(
        Notification.everything.filter(user_id__in=inboxes, pending_since__isnull=False)
        .order_by("user_id", "id")
        .values(
            *schemas.NOTIFICATION_COLUMNS,
            "user_id",
            "removed_at",
            was_counted=F("counted"),
            was_revision=F("revision"),
            actor_username=names.expression("actor__"),
        )[:limit]
    )
    for user_id, group in groupby(rows, key=lambda row: row["user_id"]):
        weight = 0
        for row in group:
            weight += weight_of(row, rows_per_revision)
            row["revision"] = inboxes[user_id].revision + 1 + (weight - 1) // REVISION_BYTES
            row["counted"] = not row["is_read"] and row["removed_at"] is None
    if not any(map(is_new_in_group, rows)):
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {Notification._meta.db_table}"  # noqa: S608
                " SET revision = %s, pending_since = NULL, counted = %s WHERE id = %s",
                [(row["revision"], row["counted"], row["id"]) for row in rows],
            )
    return rows


def store_inboxes(inboxes: Mapping[Any, InboxState]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {Inbox._meta.db_table} SET revision = %s, unread_count = %s WHERE user_id = %s",  # noqa: S608
            [
                (inbox.revision, inbox.unread_count, user_id)
                for user_id, inbox in zip(users.to_db(inboxes), inboxes.values(), strict=True)
            ],
        )


def store_collapsed(rows: Collection[NumberedRow]) -> None:
    now = SQLITE_NOW.replace("%", "%%")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"""
            UPDATE {Notification._meta.db_table}
            SET revision = %(revision)s, pending_since = NULL, counted = %(counted)s, group_count = %(group_count)s,
                collapsed_into_id = COALESCE(%(into)s, collapsed_into_id),
                removed_at = CASE WHEN %(into)s IS NULL THEN removed_at ELSE {now} END,
                own_title = CASE WHEN %(title)s IS NULL THEN own_title ELSE COALESCE(own_title, title) END,
                title = COALESCE(%(title)s, title)
            WHERE id = %(id)s
            """,  # noqa: S608
            [
                {
                    **{name: row[name] for name in ("id", "revision", "counted", "group_count")},
                    "into": row.get("collapsed_into_id"),
                    "title": row.get("group_title"),
                }
                for row in rows
            ],
        )


def raise_floors(floors: Mapping[Any, int]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {Inbox._meta.db_table} SET floor = MAX(floor, %s) WHERE user_id = %s",  # noqa: S608
            list(zip(floors.values(), users.to_db(floors), strict=True)),
        )


def lock_against_deletion(model: type[Model], pk: Any, *, wait_seconds: float) -> bool:
    return model._default_manager.filter(pk=pk).exists()


def presence_horizon() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        return schemas.as_utc(cursor.fetchone()[0]) - MAX_TRANSACTION


def join_notifications(ids: str) -> str:
    # There is no LATERAL.
    return f"LEFT JOIN {Notification._meta.db_table} n ON n.id IN ({ids})"
