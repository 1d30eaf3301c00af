"""The functions that `migrate` creates in PostgreSQL for what is called for every notification: one round trip each.

PL/pgSQL keeps the plan of each statement, which takes longer to make than to execute, behind any pooler, as prepared
statements don't. Several simple statements take a quarter of the time of one with many parts, which is planned again
for each call. Callers do without a function that is missing, or of another version.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db import ProgrammingError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.orm import sql
from messaging.orm.retry import sqlstate

from . import insertion, schemas, users
from .dialects.base import REVISION_BYTES, ROWS_PER_REVISION, weight_sql
from .models import Block, Inbox, Message, Notification

# For how long a function waits for what is locked.
LOCK_SECONDS = 0.05
# A session keeps a plan until the table is analyzed again. One that was made while the table was empty would read all
# of it, however many rows have come since: a broadcast to 200,000 made each `notify()` take 28 ms instead of 2.
SETTINGS = {"lock_timeout": f"{LOCK_SECONDS}s", "enable_seqscan": "off"}
INSERT = f"{Notification._meta.db_table}_insert"
NUMBER = f"{Notification._meta.db_table}_number"
# PostgreSQL: there is no such function, or one of another version.
UNDEFINED_FUNCTION = "42883"
UNDEFINED_COLUMN = "42703"
# Those that a call would find: another schema of the database may have an installation of its own.
FOUND = "FROM pg_proc WHERE proname = %s AND pg_function_is_visible(oid)"

# The inbox is locked last, from the moment its revision is read until the commit, and not waited for.
INSERT_BODY = """#variable_conflict use_column
DECLARE
    the_message bigint;
    the_actor {key_type};
    actor_name text;
    next bigint;
    is_counted boolean;
    made record;
    unread integer;
BEGIN
    PERFORM FROM {users} u WHERE u.{key} = given_user_id FOR KEY SHARE;
    IF NOT FOUND OR unless_blocked AND EXISTS (
        SELECT FROM {blocks} b WHERE b.blocker_id = given_user_id AND b.blocked_id = given_actor_id
    ) THEN
        RETURN;
    END IF;
    IF given_message_id IS NOT NULL THEN
        SELECT m.id INTO the_message FROM {messages} m WHERE m.id = given_message_id FOR KEY SHARE;
    END IF;
    IF given_actor_id IS NOT NULL THEN
        SELECT u.{key} INTO the_actor FROM {users} u WHERE u.{key} = given_actor_id FOR KEY SHARE;
        SELECT {actor_name} INTO actor_name FROM (SELECT the_actor AS actor_id) n {join_actor};
    END IF;
    SELECT i.revision + 1 INTO next FROM {inboxes} i
    WHERE i.user_id = given_user_id AND NOT EXISTS (
        SELECT FROM {notifications} p WHERE p.user_id = i.user_id AND p.pending_since IS NOT NULL
    )
    FOR UPDATE OF i SKIP LOCKED;
    is_counted := next IS NOT NULL AND NOT given_is_read;
    INSERT INTO {notifications} ({columns}, revision, counted, pending_since)
    VALUES (
        given_user_id, the_message, the_actor, {plain}, next, is_counted, CASE WHEN next IS NULL THEN now() END
    )
    ON CONFLICT (user_id, dedupe_key) DO NOTHING RETURNING id, created_at INTO made;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF next IS NOT NULL THEN
        UPDATE {inboxes} i SET revision = next, unread_count = i.unread_count + is_counted::integer
        WHERE i.user_id = given_user_id RETURNING i.unread_count INTO unread;
    END IF;
    RETURN QUERY SELECT made.id, given_user_id, given_dedupe_key, made.created_at, the_message, the_actor,
        actor_name, next, unread;
END"""


# The `was_revision` that the function returns where it has numbered nothing, since a new row belongs to a group.
GROUPED = -1

# The same three steps as of the dialects, each of which sees what was committed before it. One revision for each user,
# and so ROWS_PER_REVISION rows at most, and of REVISION_BYTES together: those that are left stay pending.
NUMBER_BODY = """#variable_conflict use_column
DECLARE
    held {key_type}[];
BEGIN
    SELECT array_agg(i.user_id) INTO held FROM (
        SELECT user_id FROM {inboxes} WHERE user_id = ANY(given_user_ids) ORDER BY user_id FOR UPDATE SKIP LOCKED
    ) i;
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT id, user_id, counted AS was_counted, revision AS was_revision, {weight} AS weight,
            group_key IS NOT NULL AND revision IS NULL AS is_in_group
        FROM {notifications} p
        WHERE user_id = ANY(held) AND pending_since IS NOT NULL
        ORDER BY user_id, id LIMIT most_rows
        FOR UPDATE SKIP LOCKED
    ), picked AS (
        SELECT * FROM (SELECT *, sum(weight) OVER (PARTITION BY user_id ORDER BY id) AS total FROM locked) weighed
        WHERE total <= {bytes}
    ), changed AS (
        UPDATE {notifications} n
        SET revision = i.revision + 1, pending_since = NULL, counted = NOT n.is_read AND n.removed_at IS NULL
        FROM picked p, {inboxes} i WHERE n.id = p.id AND i.user_id = n.user_id
            AND NOT EXISTS (SELECT FROM locked WHERE is_in_group)
        RETURNING n.*, p.was_revision, n.counted::integer - p.was_counted::integer AS difference
    ), stepped AS (
        UPDATE {inboxes} i SET revision = i.revision + 1, unread_count = GREATEST(0, i.unread_count + c.difference)
        FROM (SELECT user_id, sum(difference) AS difference FROM changed GROUP BY user_id) c
        WHERE i.user_id = c.user_id RETURNING i.user_id, i.unread_count
    )
    SELECT h.user_id, s.unread_count,
        CASE WHEN EXISTS (SELECT FROM locked WHERE is_in_group) THEN {grouped} ELSE n.was_revision END,
        {actor_name}::text, {columns}
    FROM unnest(held) WITH ORDINALITY AS h(user_id, place)
    LEFT JOIN changed n ON n.user_id = h.user_id LEFT JOIN stepped s ON s.user_id = h.user_id {join_actor}
    ORDER BY h.place, n.id;
END"""
# The owner, the count afterwards, the revision before, and the actor's name; and the row.
NUMBERED_COLUMNS = ("revision", "removed_at", *schemas.NOTIFICATION_COLUMNS)
NUMBERED = ("user_id", "unread_count", "was_revision", "actor_username", *NUMBERED_COLUMNS)


class _Function(NamedTuple):
    name: str
    parameters: str
    returned: str
    body: str
    settings: Mapping[str, str] = SETTINGS


def insert_body() -> str:
    owners = users.model()._meta
    return INSERT_BODY.format(
        users=sql.quoted(owners.db_table),
        key=sql.quoted(owners.pk.column),
        key_type=users.key_type(),
        messages=sql.quoted(Message._meta.db_table),
        blocks=sql.quoted(Block._meta.db_table),
        inboxes=Inbox._meta.db_table,
        notifications=Notification._meta.db_table,
        columns=", ".join(insertion.COLUMNS),
        plain=", ".join(f"given_{column}" for column in insertion.PLAIN_COLUMNS),
        actor_name=sql.actor_name(),
        join_actor=sql.join_actor("n"),
    )


def number_body() -> str:
    return NUMBER_BODY.format(
        key_type=users.key_type(),
        inboxes=Inbox._meta.db_table,
        notifications=Notification._meta.db_table,
        grouped=GROUPED,
        columns=", ".join(f"n.{column}" for column in NUMBERED_COLUMNS),
        weight=weight_sql("p", ROWS_PER_REVISION),
        bytes=REVISION_BYTES,
        actor_name=sql.actor_name(),
        join_actor=sql.join_actor("n"),
    )


def number(user_ids: list[Any], most_rows: int) -> list[dict[str, Any]] | None:
    """Number these users' pending rows, in one round trip that is a transaction of its own.

    Returns the rows in the order of inboxes and ids, and one with the id None for an inbox without any: no row for one
    that is missing or locked. None if there is no such function, or one of the rows is a new one of a group.
    """
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        # By name: the next version's function, which runs already when the last process of this one ends, returns more.
        call = f"SELECT {', '.join(NUMBERED)} FROM {NUMBER}(CAST(%s AS {users.key_type()}[]), %s)"  # noqa: S608
        try:
            cursor.execute(call, [users.to_db(user_ids), most_rows])
        except ProgrammingError as error:
            if sqlstate(error) not in {UNDEFINED_FUNCTION, UNDEFINED_COLUMN}:
                raise
            return None
        rows = [dict(zip(NUMBERED, row, strict=True)) for row in cursor.fetchall()]
    if rows and rows[0]["was_revision"] == GROUPED:
        return None
    key = users.from_db()
    for row in rows:
        row["user_id"], row["actor_id"] = key(row["user_id"]), key(row["actor_id"])
    return rows


def _functions() -> Iterator[_Function]:
    key = users.key_type()
    given = [f"given_{column} {insertion.type_of_column(column)}" for column in insertion.COLUMNS]
    yield _Function(
        INSERT,
        ", ".join([*given, "unless_blocked boolean"]),
        f"id bigint, user_id {key}, dedupe_key varchar, created_at timestamptz, message_id bigint, actor_id {key},"
        " actor_username text, revision bigint, unread_count integer",
        insert_body(),
    )
    columns = ", ".join(f"{column} {insertion.type_of_column(column)}" for column in NUMBERED_COLUMNS)
    yield _Function(
        NUMBER,
        f"given_user_ids {key}[], most_rows integer",
        f"user_id {key}, unread_count integer, was_revision bigint, actor_username text, {columns}",
        number_body(),
        # For so many ids, PostgreSQL would make a plan each time.
        {**SETTINGS, "plan_cache_mode": "force_generic_plan"},
    )


def create(connection: BaseDatabaseWrapper) -> None:
    """Create the functions, if any is missing or of another version."""
    if connection.vendor != "postgresql" or exist(connection):
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for function in _functions():
            cursor.execute(f"SELECT oid::regprocedure {FOUND}", [function.name])
            for (other,) in cursor.fetchall():
                cursor.execute(f"DROP FUNCTION {other}")
            # The search path of the session that calls may be empty.
            cursor.execute(
                f"CREATE FUNCTION {function.name}({function.parameters}) RETURNS TABLE ({function.returned})"
                f" LANGUAGE plpgsql SET search_path FROM CURRENT"
                + "".join(f" SET {name} = '{value}'" for name, value in function.settings.items())
                + f" AS $body${function.body}$body$"
            )


def exist(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the functions exist, in this version; also where there is no table."""
    if (
        connection.vendor != "postgresql"
        or Notification._meta.db_table not in connection.introspection.table_names()
    ):
        return True
    with connection.cursor() as cursor:
        for function in _functions():
            cursor.execute(f"SELECT prosrc, proconfig {FOUND}", [function.name])
            settings = {f"{name}={value}" for name, value in function.settings.items()}
            found = [(body, settings.issubset(given or ())) for body, given in cursor.fetchall()]
            if found != [(function.body, True)]:
                return False
    return True
