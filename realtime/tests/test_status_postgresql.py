"""manage.py doorbell_status while a lock holds a table up."""

import threading

import pytest

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
    holder, waiter = own_connection(), own_connection()
    for own in (holder, waiter):
        own.ensure_connection()
    with holder.cursor() as cursor:
        cursor.execute("SET application_name = 'nightly report'")
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE messaging_notification")

        def count() -> None:
            with waiter.cursor() as waits:
                waits.execute("SELECT count(*) FROM messaging_notification")

        def waits() -> bool:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0])

        waiting = threading.Thread(target=count)
        waiting.start()
        try:
            wait_for(waits)
            problems = found()["problems"]
        finally:
            cursor.execute("ROLLBACK")
            waiting.join(TIMEOUT)
            holder.close()
            waiter.close()
    assert f"process {pid} (nightly report, idle in transaction, its transaction " in problems[0]
    assert problems[1].startswith("the database stopped answering: canceling statement due to lock timeout")
