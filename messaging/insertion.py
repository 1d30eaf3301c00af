"""Inserts notifications: one statement that checks and locks what its rows refer to. notifications.py is its caller.

Django's foreign keys are checked at commit, when it is too late for the caller's transaction. So a row for a user who
doesn't exist is left out here, an actor or a message that doesn't exist is stored as NULL (as deleting them does), and
those that do are locked against deletion until the transaction ends.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from . import users
from .models import Message, Notification

COLUMNS = (
    "user_id",
    "message_id",
    "actor_id",
    "notification_type",
    "title",
    "description",
    "level",
    "url",
    "is_read",
    "dedupe_key",
)
# SQLite takes 32,766 values in a statement.
ROWS_PER_INSERT = 2_000


def insert(rows: Sequence[Notification]) -> set[Any]:
    """Insert rows, in order, and set their `pk`: None for one that is left out. Returns the ids of unknown users.

    The rows must be in the order of users: locks in any other could deadlock with another insert's. Left out are rows
    of unknown users, and rows whose dedupe_key their user has. To be called in a transaction.
    """
    inserted = []
    for start in range(0, len(rows), ROWS_PER_INSERT):
        inserted += _insert(rows[start : start + ROWS_PER_INSERT])
    # A row without a key is always inserted, so rows without one are matched in order, the others by their key.
    keyed = {(user_id, key): pk for pk, user_id, key in inserted if key is not None}
    unkeyed: dict[Any, list[int]] = {}
    for pk, user_id, key in reversed(inserted):
        if key is None:
            unkeyed.setdefault(user_id, []).append(pk)
    for row in rows:
        if row.dedupe_key is not None:
            row.pk = keyed.pop((row.user_id, row.dedupe_key), None)
        else:
            row.pk = unkeyed[row.user_id].pop() if row.user_id in unkeyed else None
        if is_stored(row):
            row._state.adding, row._state.db = False, connection.alias
            # Set by the database: deferred until they are read.
            for column in ("created_at", "pending_since", "counted"):
                row.__dict__.pop(column, None)
    missing = {row.user_id for row in rows if not is_stored(row)}
    return missing - set(_existing(missing)) if missing else missing


def is_stored(row: Notification) -> bool:
    pk: int | None = row.pk
    return pk is not None


def _insert(rows: Sequence[Notification]) -> list[Any]:
    # The ORM's ignore_conflicts doesn't return what it inserted; catching its error needs a savepoint per insert.
    values = [(place, *(getattr(row, column) for column in COLUMNS)) for place, row in enumerate(rows)]
    places = "({})".format(", ".join(["%s"] * (1 + len(COLUMNS))))
    owners = users.model()
    selected = {column: f"g.{column}" for column in COLUMNS}
    selected["user_id"] = f"u.{_key(owners)}"
    selected["actor_id"] = _reference(
        owners, "actor_id", wanted=any(row.actor_id is not None for row in rows)
    )
    selected["message_id"] = _reference(
        Message, "message_id", wanted=any(row.message_id is not None for row in rows)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH given(place, {", ".join(COLUMNS)}) AS (VALUES {", ".join([places] * len(rows))})
            INSERT INTO {Notification._meta.db_table} ({", ".join(COLUMNS)})
            SELECT {", ".join(selected.values())}
            FROM given g JOIN {_table(owners)} u ON u.{_key(owners)} = {_given(owners, "user_id")}
            WHERE true ORDER BY g.place {_locking("OF u")}
            ON CONFLICT (user_id, dedupe_key) DO NOTHING RETURNING id, user_id, dedupe_key
            """,  # noqa: S608
            [value for row in values for value in row],
        )
        return list(cursor.fetchall())


def _reference(model: type[Model], column: str, *, wanted: bool) -> str:
    """Return the SQL of a referenced row's id, or NULL if it doesn't exist."""
    if not wanted:
        return "NULL"
    return (
        f"(SELECT r.{_key(model)} FROM {_table(model)} r WHERE r.{_key(model)} = {_given(model, column)}"  # noqa: S608
        f" {_locking()})"
    )


def _given(model: type[Model], column: str) -> str:
    """Return the SQL of a given id: in a list of NULLs alone PostgreSQL would take it for a text."""
    return f"CAST(g.{column} AS {model._meta.pk.rel_db_type(connection)})"


def _locking(of: str = "") -> str:
    # As strong as what the foreign key's own check takes at commit. SQLite has one writer at a time.
    return f"FOR KEY SHARE {of}" if connection.vendor == "postgresql" else ""


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _key(model: type[Model]) -> str:
    return connection.ops.quote_name(str(model._meta.pk.column))


def _existing(user_ids: set[Any]) -> list[Any]:
    return list(users.everybody().filter(pk__in=user_ids).values_list("pk", flat=True))
