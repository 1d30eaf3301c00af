"""manage.py doorbell_status while a lock holds a table up."""

import threading

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.database import own_connection
from realtime.management import status as status_module
from realtime.tests.client import TIMEOUT
from realtime.tests.processes import wait_for
from realtime.tests.test_doorbell_status import found, process

__all__ = ["process"]
pytestmark = pytest.mark.django_db(transaction=True)

WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'messaging_notification'::regclass AND NOT granted"


def test_a_locked_table_holds_nothing_up_and_who_has_locked_it_is_named(process, monkeypatch):
    monkeypatch.setattr(status_module, "LOCK_SECONDS", 1)
    monkeypatch.setattr(status_module, "HELD_SECONDS", 0)
    holder, *waiters = (own_connection() for _ in range(3))
    for own in (holder, *waiters):
        own.ensure_connection()
    with holder.cursor() as cursor:
        cursor.execute("SET application_name = 'nightly report'")
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE messaging_notification")

        def count(own: BaseDatabaseWrapper) -> None:
            with own.cursor() as waits:
                waits.execute("SELECT count(*) FROM messaging_notification")

        def all_wait() -> bool:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0] == len(waiters))

        waiting = [threading.Thread(target=count, args=(own,)) for own in waiters]
        for thread in waiting:
            thread.start()
        try:
            wait_for(all_wait)
            problems = found()["problems"]
        finally:
            cursor.execute("ROLLBACK")
            for thread in waiting:
                thread.join(TIMEOUT)
            for own in (holder, *waiters):
                own.close()
    assert problems[0].startswith("2 statements wait for locks of ")
    assert f"process {pid} (nightly report, idle in transaction, its transaction " in problems[0]
    assert problems[1:] == ["the database stopped answering: canceling statement due to lock timeout"]


@pytest.mark.parametrize("table", ["django_migrations", "realtime_timeline"])
def test_no_table_is_waited_for_longer(process, monkeypatch, table):
    monkeypatch.setattr(status_module, "LOCK_SECONDS", 1)
    holder = own_connection()
    with holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {table}")
        end = threading.Timer(TIMEOUT, holder.close)
        end.start()
        try:
            (problem,) = found()["problems"]
        finally:
            end.cancel()
            holder.close()
    assert "canceling statement due to lock timeout" in problem
