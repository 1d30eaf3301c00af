"""PostgreSQL: row locks, and statements that change any number of rows in one round trip. See base.Dialect."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Model

from messaging import schemas, users
from messaging.models import Inbox, Notification
from messaging.orm import sql

from .base import REVISION_BYTES, InboxState, NumberedRow, weight_sql

# No change of presence that commits from now on carries an earlier time than the oldest open transaction's.
HORIZON = """
SELECT LEAST(statement_timestamp(), MIN(
    CASE WHEN backend_xid IS NOT NULL THEN xact_start WHEN state = 'active' THEN query_start END
)) FROM pg_stat_activity WHERE datname = current_database()
"""
# The transactions of other database roles are not visible in pg_stat_activity: this margin is all that they have.
HORIZON_MARGIN = timedelta(seconds=2)


def lock_inboxes(user_ids: list[Any], *, wait_seconds: float | None) -> dict[Any, InboxState]:
    if wait_seconds is not None:
        limit_lock_wait(wait_seconds)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT user_id, revision, unread_count FROM {Inbox._meta.db_table}"  # noqa: S608
            f" WHERE user_id = ANY(%s) ORDER BY user_id FOR UPDATE{' SKIP LOCKED' if wait_seconds is None else ''}",
            [users.to_db(user_ids)],
        )
        key = users.from_db()
        return {key(user_id): InboxState(*state) for user_id, *state in cursor.fetchall()}


def limit_lock_wait(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{seconds}s'")


def number_rows(
    inboxes: Mapping[Any, InboxState], *, limit: int, rows_per_revision: int
) -> list[NumberedRow]:
    columns = ["user_id", "removed_at", *schemas.NOTIFICATION_COLUMNS]
    names = [*columns, "was_counted", "was_revision", "actor_username", "revision", "counted"]
    # SKIP LOCKED is what makes it right, not only what makes it fast: a row that an open transaction holds would
    # otherwise be waited for, numbered with the content from before the wait, and its change never delivered.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH picked AS MATERIALIZED (
                SELECT {", ".join(columns)}, counted AS was_counted, revision AS was_revision,
                    {weight_sql("p", rows_per_revision)} AS weight
                FROM {Notification._meta.db_table} p
                WHERE user_id = ANY(%s) AND pending_since IS NOT NULL
                ORDER BY user_id, id LIMIT {limit}
                FOR UPDATE SKIP LOCKED
            ), numbered AS (
                SELECT p.*, {sql.actor_name()} AS actor_username, i.revision + 1
                    + (sum(p.weight) OVER (PARTITION BY p.user_id ORDER BY p.id) - 1) / {REVISION_BYTES} AS revision,
                    NOT p.is_read AND p.removed_at IS NULL AS counted
                FROM picked p
                JOIN {Inbox._meta.db_table} i ON i.user_id = p.user_id
                {sql.join_actor("p")}
            ), stored AS (
                UPDATE {Notification._meta.db_table} n
                SET revision = d.revision, pending_since = NULL, counted = d.counted
                FROM numbered d WHERE n.id = d.id
                    AND NOT EXISTS (SELECT FROM picked WHERE group_key IS NOT NULL AND was_revision IS NULL)
            )
            SELECT {", ".join(names)} FROM numbered
            """,  # noqa: S608
            [users.to_db(inboxes)],
        )
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    key, places = users.from_db(), {user_id: place for place, user_id in enumerate(inboxes)}
    for row in rows:
        row["user_id"], row["actor_id"] = key(row["user_id"]), key(row["actor_id"])
    # The database's order of texts isn't Python's.
    rows.sort(key=lambda row: (places[row["user_id"]], row["id"]))
    return rows


def store_inboxes(inboxes: Mapping[Any, InboxState]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Inbox._meta.db_table} i SET revision = d.revision, unread_count = d.unread_count"  # noqa: S608
            f" FROM unnest(%s::{users.key_type()}[], %s::bigint[], %s::int[]) AS d(user_id, revision, unread_count)"
            " WHERE i.user_id = d.user_id",
            [
                users.to_db(inboxes),
                [inbox.revision for inbox in inboxes.values()],
                [inbox.unread_count for inbox in inboxes.values()],
            ],
        )


def store_collapsed(rows: Collection[NumberedRow]) -> None:
    columns = ("id", "revision", "counted", "group_count", "collapsed_into_id", "group_title")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {Notification._meta.db_table} n
            SET revision = d.revision, pending_since = NULL, counted = d.counted, group_count = d.group_count,
                collapsed_into_id = COALESCE(d.collapsed_into_id, n.collapsed_into_id),
                removed_at = CASE WHEN d.collapsed_into_id IS NULL THEN n.removed_at ELSE now() END,
                own_title = CASE WHEN d.group_title IS NULL THEN n.own_title ELSE COALESCE(n.own_title, n.title) END,
                title = COALESCE(d.group_title, n.title)
            FROM unnest(%s::bigint[], %s::bigint[], %s::bool[], %s::int[], %s::bigint[], %s::text[])
                AS d({", ".join(columns)})
            WHERE n.id = d.id
            """,  # noqa: S608
            [[row.get(column) for row in rows] for column in columns],
        )


def raise_floors(floors: Mapping[Any, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Inbox._meta.db_table} i SET floor = GREATEST(i.floor, d.floor)"  # noqa: S608
            f" FROM unnest(%s::{users.key_type()}[], %s::bigint[]) AS d(user_id, floor) WHERE i.user_id = d.user_id",
            [users.to_db(floors), list(floors.values())],
        )


def lock_against_deletion(model: type[Model], pk: Any, *, wait_seconds: float) -> bool:
    limit_lock_wait(wait_seconds)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {model._meta.db_table} WHERE {model._meta.pk.column} = %s FOR KEY SHARE",  # noqa: S608
            [pk],
        )
        return cursor.fetchone() is not None


def presence_horizon() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(HORIZON)
        moment: datetime = cursor.fetchone()[0]
        return moment - HORIZON_MARGIN


def join_notifications(ids: str) -> str:
    table = Notification._meta.db_table
    return f"LEFT JOIN LATERAL ({ids}) m ON TRUE LEFT JOIN {table} n ON n.id = m.id"
