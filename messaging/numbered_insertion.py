"""Inserts notifications together with their revisions: for calls outside of transactions, so that no lock outlives it.

One statement on PostgreSQL, and for a single row the function in stored_functions.py.

It waits for no inbox. Rows of a user whose inbox is missing, locked, or has pending rows are inserted pending, as
within a transaction (storing.py), and numbered after commit. Revisions stay contiguous because the inbox is
locked from the moment its revision is read until the statement commits.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, transaction

from messaging.orm import sql
from messaging.orm.retry import LOCK_NOT_AVAILABLE, sqlstate

from . import insertion, names, schemas, sequencing, users
from .dialects.base import REVISION_BYTES, weight_of
from .insertion import Source
from .models import Inbox, Notification
from .sequencing import Revision
from .stored_functions import INSERT, LOCK_SECONDS, UNDEFINED_FUNCTION


class Outcome(NamedTuple):
    """The ids of unknown users; what was numbered; whose rows are pending."""

    unknown: set[Any]
    revisions: list[Revision]
    pending: set[Any]


class _Inserted(NamedTuple):
    pk: int
    user_id: Any
    dedupe_key: str | None
    created_at: Any
    message_id: int | None
    actor_id: Any
    actor_username: str | None
    # None: the row is pending.
    revision: int | None
    unread_count: int | None


def insert_numbered(rows: Sequence[Notification], *, unless_blocked: bool = False) -> Outcome | None:
    """Do the same as `insertion.insert`, at most ROWS_PER_INSERT rows, and number what can be numbered at once.

    Returns None, and has then inserted nothing, if something else was locked for longer than LOCK_SECONDS, or the
    function is missing.
    """
    if not rows:
        return Outcome(set(), [], set())
    if connection.vendor != "postgresql":
        return _insert_and_number(rows, unless_blocked)
    found = _unless_locked(lambda: _execute(rows, unless_blocked))
    if found is None:
        return None
    unknown = insertion.note_inserted(rows, [(one.pk, one.user_id, one.dedupe_key) for one in found])
    numbered = {one.pk: one for one in found if one.revision is not None}
    assigned = []
    for row in rows:
        if (one := numbered.get(row.pk)) is not None:
            row.revision, row.created_at, row.pending_since = one.revision, one.created_at, None
            assigned.append({**vars(row), **one._asdict(), "id": one.pk})
    return Outcome(unknown, _revisions(assigned), _pending(found))


def insert_same_numbered(user_ids: Sequence[Any], columns: Mapping[str, Any]) -> Outcome | None:
    """Do the same as `insertion.insert_same`, and number what can be numbered at once.

    Makes no instances, and doesn't look for unknown users. Returns None as `insert_numbered` does.
    """
    if connection.vendor != "postgresql":
        with transaction.atomic(durable=True):
            inserted = insertion.insert_same(user_ids, columns)
            return _outcome(set(), sequencing.number_pending(sorted(inserted)))
    source, values = insertion.source_of_same(user_ids, columns)
    found = _unless_locked(lambda: _fetch(_statement(source), [users.to_db(user_ids), *values]))
    if found is None:
        return None
    assigned = [{**columns, **one._asdict(), "id": one.pk} for one in found if one.revision is not None]
    return Outcome(set(), _revisions(assigned), _pending(found))


def _insert_and_number(rows: Sequence[Notification], unless_blocked: bool) -> Outcome:
    """SQLite has no INSERT in a WITH: a transaction of the insert and the steps of every other numbering."""
    with transaction.atomic(durable=True):
        unknown = insertion.insert(rows, unless_blocked=unless_blocked)
        user_ids = sorted({row.user_id for row in rows if insertion.is_stored(row)})
        step = sequencing.number_pending(user_ids)
    for row in rows:
        row.__dict__.pop("revision", None)
    return _outcome(unknown, step)


def _outcome(unknown: set[Any], step: sequencing.Step) -> Outcome:
    return Outcome(unknown, step.revisions, {*step.unserved, *step.unfinished, *step.locked})


def _unless_locked(execute: Callable[[], list[_Inserted]]) -> list[_Inserted] | None:
    try:
        return execute()
    except DatabaseError as error:
        if sqlstate(error) not in {LOCK_NOT_AVAILABLE, UNDEFINED_FUNCTION}:
            raise
        return None


def _pending(found: Iterable[_Inserted]) -> set[Any]:
    return {one.user_id for one in found if one.revision is None}


def _revisions(assigned: list[dict[str, Any]]) -> list[Revision]:
    """Build the revisions of rows that have been numbered, given as columns and what was assigned to them."""
    names.put(assigned, actor_id="actor_username")
    revisions: dict[Any, Revision] = {}
    for values in assigned:
        # (Each stands for itself.)
        values.setdefault("group_count", 1)
        new = Revision(values["user_id"], values["revision"], values["unread_count"])
        revisions.setdefault(new.user_id, new).added.append(schemas.notification(values))
    return list(revisions.values())


def _execute(rows: Sequence[Notification], unless_blocked: bool) -> list[_Inserted]:
    if len(rows) == 1:
        (row,) = rows
        plain = insertion.plain_values(row)
        user_id, actor_id = users.to_db([row.user_id, row.actor_id])
        statement, values = _call(), [user_id, row.message_id, actor_id, *plain, unless_blocked]
    else:
        source, arrays = insertion.source_of(rows)
        counts = Counter(row.user_id for row in rows)
        # One revision of a user, of so many rows at most.
        user_ids = [
            user_id
            for user_id, count in counts.items()
            if count == 1
            or (count <= sequencing.ROWS_PER_REVISION and _weight(rows, user_id) <= REVISION_BYTES)
        ]
        statement, values = _statement(source), [users.to_db(user_ids), *arrays]
    return _fetch(statement, values)


def _fetch(statement: str, values: list[Any]) -> list[_Inserted]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        key = users.from_db()
        return [
            _Inserted(*row)._replace(user_id=key(row[1]), actor_id=key(row[5])) for row in cursor.fetchall()
        ]


def _weight(rows: Sequence[Notification], user_id: Any) -> int:
    return sum(weight_of(vars(row), sequencing.ROWS_PER_REVISION) for row in rows if row.user_id == user_id)


@functools.cache
def _call() -> str:
    # (Of a key, as of any number, PostgreSQL wouldn't convert the type downwards.)
    key = f"CAST(%s AS {users.key_type()})"
    places = [key if column in {"user_id", "actor_id"} else "%s" for column in insertion.COLUMNS]
    return f"SELECT * FROM {INSERT}({', '.join(places)}, %s)"  # noqa: S608


def _statement(source: Source) -> str:
    # Inboxes in any order: none is waited for.
    # `stepped` takes the revision from the locked row: by a join with the table as of the statement's begin, two
    # statements at once would assign the same one. `limited` is read first by both that wait for locks.
    notifications, inboxes = Notification._meta.db_table, Inbox._meta.db_table
    columns = ", ".join(insertion.COLUMNS)
    selected = ", ".join(source.selected)
    given = f"{source.given}," if source.given else ""
    return f"""
        WITH limited AS MATERIALIZED (
            SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', true)
        ), locked AS MATERIALIZED (
            SELECT i.user_id, i.revision FROM limited CROSS JOIN {inboxes} i
            WHERE i.user_id = ANY(CAST(%s AS {users.key_type()}[])) AND NOT EXISTS (
                SELECT 1 FROM {notifications} p WHERE p.user_id = i.user_id AND p.pending_since IS NOT NULL
            )
            FOR UPDATE OF i SKIP LOCKED
        ), {given} inserted AS (
            INSERT INTO {notifications} ({columns}, revision, counted, pending_since)
            SELECT {selected}, l.revision + 1, l.user_id IS NOT NULL AND NOT {source.is_read},
                CASE WHEN l.user_id IS NULL THEN now() END
            FROM limited CROSS JOIN {source.tables} LEFT JOIN locked l ON l.user_id = {source.user_id}
            {source.rest}
            ON CONFLICT (user_id, dedupe_key) DO NOTHING
            RETURNING id, user_id, dedupe_key, created_at, message_id, actor_id, revision, counted
        ), stepped AS (
            UPDATE {inboxes} i SET revision = l.revision + 1, unread_count = i.unread_count + c.unread
            FROM locked l JOIN (
                SELECT user_id, count(*) FILTER (WHERE counted) AS unread
                FROM inserted WHERE revision IS NOT NULL GROUP BY user_id
            ) c ON c.user_id = l.user_id
            WHERE i.user_id = l.user_id RETURNING i.user_id, i.unread_count
        )
        SELECT n.id, n.user_id, n.dedupe_key, n.created_at, n.message_id, n.actor_id,
            CAST({sql.actor_name() if source.has_actors else "NULL"} AS text), n.revision, s.unread_count
        FROM inserted n LEFT JOIN stepped s ON s.user_id = n.user_id
        {sql.join_actor("n") if source.has_actors else ""}
        ORDER BY n.id
        """  # noqa: S608
