"""manage.py migrate_online beside writers: on the tests' database, migrated back before."""

import io
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from messaging.management.commands import migrate_online

# 0011 drops indexes, for which it needs the lock of the table, and 0012 builds some.
OLD = ("messaging", "0010")
COLUMNS = (
    "INSERT INTO messaging_notification (user_id, notification_type, title, description, level, is_read)"
)
INSERT = f"{COLUMNS} VALUES (%s, 'announcement', 'x', '', 'info', false)"
MANY = f"{COLUMNS} SELECT %s, 'announcement', 'x', '', 'info', false FROM generate_series(1, 20000)"
HELD_SECONDS = 3.0


@pytest.fixture
def old(transactional_db: None, django_db_blocker: Any) -> Iterator[Any]:
    """The test's database, migrated back to before the indexes that are built online; afterwards it is as it was."""
    call_command("migrate", *OLD, verbosity=0)
    yield connection
    call_command("migrate", verbosity=0)


def connect() -> psycopg.Connection[Any]:
    parameters = connection.get_connection_params()
    wanted = ("host", "port", "user", "password", "dbname")
    return psycopg.connect(**{key: parameters[key] for key in wanted if key in parameters}, autocommit=True)


class Writer:
    """Saves in SQL fifty times a second, as any version does, and remembers the longest stall."""

    def __init__(self, user_id: int) -> None:
        self.longest, self.count = 0.0, 0
        self._over = threading.Event()
        self._user_id = user_id
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with connect() as session:
            while not self._over.wait(0.02):
                began = time.monotonic()
                session.execute(INSERT.encode(), [self._user_id])
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(60)


class Holder:
    """An open transaction that has written to the table, for some seconds."""

    def __init__(self, user_id: int, seconds: float) -> None:
        self._session = connect()
        self._session.execute(b"BEGIN")
        self._session.execute(INSERT.encode(), [user_id])
        self._timer = threading.Timer(seconds, self._session.close)
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()
        self._session.close()


def upgrade(ada: Any, command: str) -> float:
    """Upgrade beside a writer and an open transaction. Returns the writer's longest stall."""
    with connect() as session:
        session.execute(MANY.encode(), [ada.pk])
    holder = Holder(ada.pk, HELD_SECONDS)
    try:
        with Writer(ada.pk) as writer:
            call_command(command, verbosity=0)
        assert writer.count
        return writer.longest
    finally:
        holder.end()


def test_a_save_waits_only_briefly_behind_a_migration(old: Any, ada: Any) -> None:
    longest = upgrade(ada, "migrate_online")
    print(f"longest stall of a save: {longest:.2f} s")
    assert longest < HELD_SECONDS - 0.5
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indrelid = 'messaging_notification'::regclass")
        assert all(valid for (valid,) in cursor.fetchall())
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_behind_a_plain_migrate_it_waits_for_the_open_transaction(old: Any, ada: Any) -> None:
    """Negative control."""
    assert upgrade(ada, "migrate") > HELD_SECONDS / 2


def test_a_lock_that_isnt_available_is_a_sentence_and_an_exit_code(
    old: Any, ada: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(migrate_online, "PAUSE_SECONDS", 0.01)
    holder, out = Holder(ada.pk, 60), io.StringIO()
    try:
        with pytest.raises(CommandError) as raised:
            call_command("migrate_online", lock_seconds=0.05, tries=2, stdout=out)
    finally:
        holder.end()
    assert raised.value.returncode == 75
    assert "servers may go on" in str(raised.value)
    assert "messaging_notification" in str(raised.value)
    assert out.getvalue().count("trying again") == 1


def test_an_index_that_was_interrupted_is_built_anew(old: Any, ada: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX messaging_by_actor ON messaging_notification (id)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'messaging_by_actor'::regclass"
        )
    call_command("migrate_online", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid, indpred IS NOT NULL FROM pg_index WHERE indexrelid = 'messaging_by_actor'::regclass"
        )
        assert cursor.fetchone() == (True, True)
