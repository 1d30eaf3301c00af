"""Inserts notifications: one statement that checks and locks what its rows refer to. notifications.py is its caller.

Django's foreign keys are checked at commit, when it is too late for the caller's transaction. So a row for a user who
doesn't exist is left out here, an actor or a message that doesn't exist is stored as NULL (as deleting them does), and
those that do are locked against deletion until the transaction ends.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model

from . import data, users
from .models import Block, Message, Notification

TEXT_COLUMNS = ("notification_type", "title", "description", "level", "url", "is_read", "dedupe_key")
PLAIN_COLUMNS = (*TEXT_COLUMNS, "data", "language", "group_key")
OTHER_COLUMNS = ("message_id", "actor_id", *PLAIN_COLUMNS)
COLUMNS = ("user_id", *OTHER_COLUMNS)
# SQLite takes 32,766 values in a statement.
ROWS_PER_INSERT = 2_000


def insert(rows: Sequence[Notification], *, held: bool = False, unless_blocked: bool = False) -> set[Any]:
    """Insert rows, in order, and set their `pk`: None for one that is left out. Returns the ids of unknown users.

    The rows must be in the order of users: locks in any other could deadlock with another insert's. Left out are rows
    of unknown users, and rows whose dedupe_key their user has; with `unless_blocked` a single row whose user has
    blocked the actor. More than ROWS_PER_INSERT are to be inserted in a transaction. `held`: a row that this
    transaction has written refers to all that a single row does, so that it needs no check of its own.
    """
    inserted: list[Any] = []
    for start in range(0, len(rows), ROWS_PER_INSERT):
        source, values = source_of(
            rows[start : start + ROWS_PER_INSERT], held=held, unless_blocked=unless_blocked
        )
        inserted += _execute(_statement(source), values)
    return note_inserted(rows, inserted)


def insert_same(user_ids: Sequence[Any], columns: Mapping[str, Any]) -> set[Any]:
    """Insert one row of the same columns for each of these users, at most ROWS_PER_INSERT. Returns whose it did.

    Order, references and what is left out are those of `insert`; `columns` are OTHER_COLUMNS.
    """
    source, values = source_of_same(user_ids, columns)
    return {user_id for _, user_id, _ in _execute(_statement(source), values)}


def note_inserted(rows: Sequence[Notification], inserted: Sequence[tuple[int, Any, str | None]]) -> set[Any]:
    """Set the `pk` of these rows, by what the database answered. Returns the ids of unknown users."""
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


def plain_values(row: Notification) -> list[Any]:
    """Return a row's PLAIN_COLUMNS, as the database takes them."""
    return _plain_values([row])[0]


def _plain_values(rows: Sequence[Notification]) -> list[list[Any]]:
    # The rows of one call share their data.
    encoded = {id(given): data.encoded(given) for given in {id(row.data): row.data for row in rows}.values()}
    return [
        [
            *(getattr(row, column) for column in TEXT_COLUMNS),
            encoded[id(row.data)],
            row.language,
            row.group_key,
        ]
        for row in rows
    ]


def is_stored(row: Notification) -> bool:
    pk: int | None = row.pk
    return pk is not None


class Source(NamedTuple):
    """The SELECT of an insert, in parts that numbered_insertion.py puts together with more."""

    given: str
    selected: tuple[str, ...]
    tables: str
    rest: str
    # What of it the user's id and `is_read` are.
    user_id: str
    is_read: str
    has_actors: bool


def source_of(
    rows: Sequence[Notification], *, held: bool = False, unless_blocked: bool = False
) -> tuple[Source, list[Any]]:
    """Return what is to be inserted for these rows, and its values."""
    if len(rows) > 1:
        same = _same_columns(rows)
        return _source_of_many(rows) if same is None else source_of_same([row.user_id for row in rows], same)
    (row,) = rows
    plain = plain_values(row)
    user_id, actor_id = users.to_db([row.user_id, row.actor_id])
    if held:
        return _source_of_held(), [user_id, row.message_id, actor_id, *plain]
    references = [value for value in (row.message_id, actor_id) if value is not None]
    unless_blocked = unless_blocked and actor_id is not None
    source = source_of_one(
        connection.vendor,
        has_message=row.message_id is not None,
        has_actor=actor_id is not None,
        unless_blocked=unless_blocked,
    )
    return source, [*references, *plain, user_id, *([actor_id] if unless_blocked else [])]


def _execute(statement: str, values: list[Any]) -> list[Any]:
    # Not by the ORM: its ignore_conflicts doesn't return what it inserted, and catching its error needs a savepoint.
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        key = users.from_db()
        return [(pk, key(user_id), dedupe_key) for pk, user_id, dedupe_key in cursor.fetchall()]


@functools.cache
def _source_of_held() -> Source:
    return Source("", ("%s",) * len(COLUMNS), "", "", "", "", has_actors=True)


@functools.cache
def source_of_one(vendor: str, *, has_message: bool, has_actor: bool, unless_blocked: bool) -> Source:
    """Return the source of one row: the database takes half as long to plan it as the one for many."""
    owners = users.model()
    selected = (
        f"u.{_key(owners)}",
        _reference(Message, "%s") if has_message else "NULL",
        _reference(owners, "%s") if has_actor else "NULL",
        *["%s"] * len(PLAIN_COLUMNS),
    )
    blocks = f"SELECT 1 FROM {_table(Block)} b WHERE b.blocker_id = u.{_key(owners)} AND b.blocked_id = %s"  # noqa: S608
    condition = f"AND NOT EXISTS ({blocks})" if unless_blocked else ""
    return Source(
        "",
        selected,
        f"{_table(owners)} u",
        f"WHERE u.{_key(owners)} = %s {condition} {_locking('OF u')}",
        f"u.{_key(owners)}",
        "",
        has_actor,
    )


def _same_columns(rows: Sequence[Notification]) -> dict[str, Any] | None:
    """Return the columns that all these rows have, if only their users differ, as those of `notify_many` mostly do."""

    def columns(row: Notification) -> dict[str, Any]:
        # The data are compared as objects: 1 and true are equal in Python, and another thing in JSON.
        return {
            name: id(value) if name == "data" else value
            for name, value in vars(row).items()
            if name in OTHER_COLUMNS
        }

    first = columns(rows[0])
    return {**first, "data": rows[0].data} if all(columns(row) == first for row in rows) else None


def _source_of_many(rows: Sequence[Notification]) -> tuple[Source, list[Any]]:
    has_messages = any(row.message_id is not None for row in rows)
    has_actors = any(row.actor_id is not None for row in rows)
    columns = [
        users.to_db(row.user_id for row in rows),
        [row.message_id for row in rows],
        users.to_db(row.actor_id for row in rows),
        *map(list, zip(*_plain_values(rows), strict=True)),
    ]
    if connection.vendor == "postgresql":
        # A text of ten thousand placeholders would take the driver as long as the insert itself.
        return _source_of_given(_given_arrays(), has_messages, has_actors), columns
    place_of_row = f"({', '.join(['%s'] * (1 + len(COLUMNS)))})"
    given = f"given({', '.join(COLUMNS)}, place) AS (VALUES {', '.join([place_of_row] * len(rows))})"
    values = [value for place, row in enumerate(zip(*columns, strict=True)) for value in (*row, place)]
    return _source_of_given(given, has_messages, has_actors), values


def source_of_same(user_ids: Sequence[Any], columns: Mapping[str, Any]) -> tuple[Source, list[Any]]:
    """Return what is to be inserted for these users, and its values: `columns` are passed once."""
    names, keys = OTHER_COLUMNS, users.to_db(user_ids)
    (actor_id,) = users.to_db([columns["actor_id"]])
    given_values = {**columns, "actor_id": actor_id, "data": data.encoded(columns["data"])}
    values = [given_values[name] for name in names]
    if connection.vendor == "postgresql":
        selected = [f"CAST(%s AS {type_of_column(name)})" for name in names]
        table = f"unnest(CAST(%s AS {users.key_type()}[])) WITH ORDINALITY AS w(user_id, place)"
        user_id, place, given_users = "w.user_id", "w.place", [keys]
    else:
        selected = ["%s"] * len(names)
        table = f"(VALUES {', '.join(f'(%s, {place})' for place in range(len(keys)))})"
        user_id, place, given_users = "column1", "column2", keys
    columns_given, chosen = ", ".join((*COLUMNS, "place")), ", ".join((user_id, *selected, place))
    given = f"given({columns_given}) AS (SELECT {chosen} FROM {table})"  # noqa: S608
    has_message, has_actor = columns["message_id"] is not None, actor_id is not None
    return _source_of_given(given, has_message, has_actor), [*values, *given_users]


def _source_of_given(given: str, has_messages: bool, has_actors: bool) -> Source:
    owners = users.model()
    selected = (
        f"u.{_key(owners)}",
        _reference(Message, "g.message_id") if has_messages else "NULL",
        _reference(owners, "g.actor_id") if has_actors else "NULL",
        *(f"g.{column}" for column in PLAIN_COLUMNS),
    )
    return Source(
        given,
        selected,
        f"given g JOIN {_table(owners)} u ON u.{_key(owners)} = g.user_id",
        f"WHERE true ORDER BY g.place {_locking('OF u')}",
        f"u.{_key(owners)}",
        "g.is_read",
        has_actors,
    )


def _given_arrays() -> str:
    arrays = [f"CAST(%s AS {type_of_column(column)}[])" for column in COLUMNS]
    columns = ", ".join((*COLUMNS, "place"))
    return f"given AS (SELECT * FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS g({columns}))"  # noqa: S608


def type_of_column(column: str) -> str:
    """Return the SQL type of one of COLUMNS."""
    (field,) = (field for field in Notification._meta.concrete_fields if field.column == column)
    return str(field.rel_db_type(connection))


def _statement(source: Source) -> str:
    given = f"WITH {source.given}" if source.given else ""
    selected = ", ".join(source.selected)
    rows = f"VALUES ({selected})"
    if source.tables:
        rows = f"SELECT {selected} FROM {source.tables} {source.rest}"  # noqa: S608
    return f"""
        {given} INSERT INTO {Notification._meta.db_table} ({", ".join(COLUMNS)}) {rows}
        ON CONFLICT (user_id, dedupe_key) DO NOTHING RETURNING id, user_id, dedupe_key
        """


def _reference(model: type[Model], given: str) -> str:
    """Return the SQL of a referenced row's id, or NULL if it doesn't exist."""
    key = _key(model)
    return f"(SELECT r.{key} FROM {_table(model)} r WHERE r.{key} = {given} {_locking()})"  # noqa: S608


def _locking(of: str = "") -> str:
    # As strong as what the foreign key's own check takes at commit. SQLite has one writer at a time.
    return f"FOR KEY SHARE {of}" if connection.vendor == "postgresql" else ""


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _key(model: type[Model]) -> str:
    return connection.ops.quote_name(str(model._meta.pk.column))


def _existing(user_ids: set[Any]) -> list[Any]:
    return list(users.everybody().filter(pk__in=user_ids).values_list("pk", flat=True))
