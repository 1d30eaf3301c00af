"""The triggers of notifications: they keep an UPDATE by any program within the rules of revisions.

A client knows a row by its id, so an id never changes hands, and none comes back. An UPDATE of the owner leaves the row
with its old owner as a pending tombstone, and adds a pending copy with a new id for the new owner; an UPDATE of the id,
or one that undoes a removal, does the same. One of what is counted marks the row pending, if it doesn't itself.

They aren't in a migration: SQLite's table remakes drop triggers. `post_migrate` creates them (messaging/apps.py), and a
system check looks for them (messaging/checks.py).
"""

from collections.abc import Iterator

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging import users
from messaging.models import Notification

TABLE = Notification._meta.db_table
NAME = f"{TABLE}_updated"
# Set by the INSERT itself.
NOT_COPIED = {
    "id",
    "user_id",
    "dedupe_key",
    "revision",
    "pending_since",
    "counted",
    "removed_at",
    "collapsed_into_id",
}
COPIED = [str(field.column) for field in Notification._meta.concrete_fields if field.column not in NOT_COPIED]
COPY = f"INSERT INTO {TABLE} (id, user_id, dedupe_key, {', '.join(COPIED)})"
COPIED_VALUES = ", ".join(f"NEW.{column}" for column in COPIED)

# Where the old owner doesn't exist any more it is the user's own id that changes, and the rows go along with it.
MOVED = (
    "OLD.user_id <> NEW.user_id OR OLD.id <> NEW.id OR OLD.removed_at IS NOT NULL AND NEW.removed_at IS NULL"
)
# (A row that collapses into another one has its revision from the same statement.)
MARKED = (
    "NEW.pending_since IS NULL AND"
    " (OLD.is_read <> NEW.is_read OR OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL"
    " AND NEW.collapsed_into_id IS NULL)"
)
BODY = """
BEGIN
    -- WHEN {moved} OR {marked}
    IF NOT ({moved}) THEN
        NEW.pending_since := now();
        RETURN NEW;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM {users} WHERE {user_pk} = OLD.user_id) THEN
        RETURN NEW;
    END IF;
    IF NEW.removed_at IS NULL THEN
        IF OLD.id = NEW.id THEN
            NEW.id := nextval(pg_get_serial_sequence('{table}', 'id'));
        END IF;
        {copy} VALUES (NEW.id, NEW.user_id, NEW.dedupe_key, {values})
        ON CONFLICT (user_id, dedupe_key) DO NOTHING;
        IF NOT FOUND THEN
            {copy} VALUES (NEW.id, NEW.user_id, NULL, {values});
        END IF;
    END IF;
    OLD.pending_since := now();
    OLD.removed_at := COALESCE(OLD.removed_at, now());
    RETURN OLD;
END
"""

SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


def create(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers, if any is missing or of another version: only then is the table locked."""
    if exist(connection):
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        drop(connection)
        for statement in _statements(connection):
            cursor.execute(statement)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP FUNCTION IF EXISTS {NAME} CASCADE")
        else:
            for name in _sqlite(connection):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def exist(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the triggers exist, are enabled, and are those of this version; also where there is no table."""
    if TABLE not in connection.introspection.table_names():
        return True
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
                " WHERE t.tgrelid = %s::regclass AND t.tgname = %s AND t.tgenabled IN ('O', 'A')",
                [TABLE, NAME],
            )
            return [body for (body,) in cursor.fetchall()] == [_body(connection)]
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return _sqlite(connection).items() <= dict(cursor.fetchall()).items()


def _statements(connection: BaseDatabaseWrapper) -> Iterator[str]:
    if connection.vendor == "postgresql":
        # The search path of the session that updates may be empty.
        yield (
            f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT"
            f" AS $${_body(connection)}$$"
        )
        yield (
            f"CREATE TRIGGER {NAME} BEFORE UPDATE OF id, user_id, is_read, removed_at ON {TABLE}"
            f" FOR EACH ROW WHEN ({MOVED} OR {MARKED}) EXECUTE FUNCTION {NAME}()"
        )
    else:
        yield from _sqlite(connection).values()


def _users(connection: BaseDatabaseWrapper) -> dict[str, str]:
    user, quoted = users.model()._meta, connection.ops.quote_name
    return {"users": quoted(user.db_table), "user_pk": quoted(str(user.pk.column))}


def _body(connection: BaseDatabaseWrapper) -> str:
    return BODY.format(
        moved=MOVED,
        marked=MARKED,
        table=TABLE,
        copy=COPY,
        values=COPIED_VALUES,
        **_users(connection),
    )


def _sqlite(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the triggers of SQLite by name. A BEFORE trigger can't change the row there, so it is changed back."""
    users = _users(connection)
    moved = f"({MOVED}) AND EXISTS (SELECT 1 FROM {users['users']} WHERE {users['user_pk']} = OLD.user_id)"  # noqa: S608
    restored = ", ".join(
        f"{column} = OLD.{column}"
        for column in ["id", "user_id", *COPIED, "revision", "counted", "collapsed_into_id"]
    )
    return {
        # The UPDATE would fail, if the new owner has a row with this key: the one that came last keeps it.
        f"{TABLE}_updating": f"""CREATE TRIGGER {TABLE}_updating BEFORE UPDATE OF user_id ON {TABLE}
WHEN OLD.user_id <> NEW.user_id AND NEW.dedupe_key IS NOT NULL BEGIN
    UPDATE {TABLE} SET dedupe_key = NULL
    WHERE user_id = NEW.user_id AND dedupe_key = NEW.dedupe_key AND id <> OLD.id;
END""",  # noqa: S608
        f"{TABLE}_moved": f"""CREATE TRIGGER {TABLE}_moved AFTER UPDATE OF id, user_id, removed_at ON {TABLE}
WHEN {moved} BEGIN
    UPDATE {TABLE} SET {restored},
        dedupe_key = CASE WHEN OLD.user_id = NEW.user_id THEN NULL ELSE OLD.dedupe_key END,
        pending_since = {SQLITE_NOW}, removed_at = COALESCE(OLD.removed_at, {SQLITE_NOW})
    WHERE id = NEW.id;
    {COPY}
    SELECT CASE WHEN OLD.id <> NEW.id THEN NEW.id END, NEW.user_id, NEW.dedupe_key, {COPIED_VALUES}
    WHERE NEW.removed_at IS NULL;
END""",  # noqa: S608
        f"{TABLE}_marked": f"""CREATE TRIGGER {TABLE}_marked AFTER UPDATE OF is_read, removed_at ON {TABLE}
WHEN {MARKED} BEGIN
    UPDATE {TABLE} SET pending_since = {SQLITE_NOW} WHERE id = NEW.id;
END""",  # noqa: S608
    }
