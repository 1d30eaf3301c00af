"""Revisions and open transactions: what only row locks can show (collected on PostgreSQL only, by conftest.py)."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext

from messaging import inboxes
from messaging.models import Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many
from messaging.sequencing import assign_pending
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)


# --- Open transactions ------------------------------------------------------------------------------------------------


def test_a_row_locked_by_an_open_transaction_gets_its_revision_afterwards(ada, held):
    replica = DomainReplica(ada.pk)
    row, other = notify_many([ada, ada], "announcement", "Hello")
    replica.apply_revision(*assign_revisions([ada.pk]))
    with held(lambda: mark_read(ada, [row.pk])) as thread:
        started = time.monotonic()
        while time.monotonic() - started < 2:
            mark_read(ada, [other.pk])
            # One that waited for the open transaction would wait for ever: it ends with this block.
            for revision in assign_revisions([ada.pk]):
                replica.apply_revision(revision)
            assert thread.is_alive()
            mark_unread(ada, [other.pk])
            time.sleep(0.1)
        assert replica.read_marks[row.pk] is False
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica.read_marks[row.pk] is True
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


def test_a_locked_row_that_is_pending_already_gets_its_revision_afterwards(ada, held):
    """Pending already, and changed in the open transaction: the very row that would otherwise be waited for."""
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    with held(lambda: mark_read(ada, [row.pk])):
        assert assign_revisions([ada.pk]) == []
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 0, {row.pk: True})


def test_a_change_that_is_rolled_back_later_is_in_no_revision(ada, held):
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    with held(lambda: mark_read(ada, [row.pk]), undo=True):
        assert assign_revisions([ada.pk]) == []
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 1, {row.pk: False})


@pytest.mark.parametrize("including", [True, False])
def test_the_state_after_a_change_includes_it_though_another_call_locks_the_row(
    ada, held, monkeypatch, including
):
    """A second call for the same row waits for the commit of the first, and locks it just as that assigns revisions."""
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    calls = []

    def assign_meanwhile(user_ids, **options):
        calls.append(user_ids)
        if len(calls) == 1:
            with held(lambda: list(Notification.objects.select_for_update().filter(pk=row.pk))):
                return assign_pending(user_ids, **options)
        return assign_pending(user_ids, **options)

    monkeypatch.setattr(inboxes, "assign_pending", assign_meanwhile)
    ids = mark_read(ada, [row.pk])
    found = inboxes.state(ada.pk, including=ids if including else ())
    # Without `including` (the control) the change isn't there.
    assert (found.revision, found.unread_count) == ((2, 0) if including else (1, 1))


def test_a_row_that_is_locked_for_long_is_waited_for_with_a_limit(ada, held, monkeypatch):
    monkeypatch.setattr(inboxes, "MAX_WAIT_SECONDS", 0.1)
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    ids = mark_read(ada, [row.pk])
    with held(lambda: mark_unread(ada, [row.pk])):
        assert inboxes.state(ada.pk, including=ids).revision == 1


@pytest.fixture
def without_skip_locked(monkeypatch):
    """Negative control: the same SQL, waiting for rows instead of leaving them."""
    execute = CursorWrapper.execute
    changed = []

    def patched(self, sql, params=None):
        if isinstance(sql, str) and "FOR UPDATE SKIP LOCKED" in sql:
            sql = sql.replace("FOR UPDATE SKIP LOCKED", "FOR UPDATE")
            changed.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", patched)
    return changed


def test_without_skip_locked_the_assignment_waits_for_the_open_transaction(
    ada, held, threads, without_skip_locked
):
    row = notify(ada, "announcement", "Hello")
    assigned = threading.Event()
    with held(lambda: mark_read(ada, [row.pk])):
        thread = threads.start(lambda: (assign_revisions([ada.pk]), assigned.set()))
        until(waits_for_a_lock)
        assert not assigned.is_set()
    thread.join(10)
    assert assigned.is_set()
    assert without_skip_locked


def test_without_locks_on_the_rows_a_change_is_lost(ada, held, threads, monkeypatch):
    """Negative control: numbered with the content from before the wait, and the change never delivered."""
    execute = CursorWrapper.execute

    def patched(self, sql, params=None):
        if isinstance(sql, str) and "FOR UPDATE SKIP LOCKED" in sql:
            # The obvious way: look at what is pending, then number those rows.
            sql = sql.replace("FOR UPDATE SKIP LOCKED", "")
            sql = sql.replace("counted = NOT n.is_read AND", "counted = NOT d.was_read AND")
            sql = sql.replace("SELECT id, user_id,", "SELECT id, user_id, is_read AS was_read,")
            sql = sql.replace("n.is_read,", "d.was_read,")
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", patched)
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    assigned = []
    with held(lambda: mark_read(ada, [row.pk])):
        threads.start(lambda: assigned.extend(assign_revisions([ada.pk])))
        until(waits_for_a_lock)
    threads.join()
    assigned += assign_revisions([ada.pk])
    for revision in assigned:
        replica.apply_revision(revision)
    assert replica.read_marks == {row.pk: False}
    assert fresh_read(ada.pk).read_marks == {row.pk: True}


def test_a_long_business_transaction_does_not_hold_the_inbox(ada, held):
    with held(lambda: notify(ada, "announcement", "slow")):
        for number in range(5):
            notify(ada, "announcement", str(number))
            assert len(assign_revisions([ada.pk])) == 1


def test_the_sweep_finds_what_a_killed_process_left(ada, held):
    with held(lambda: notify(ada, "announcement", "slow")):
        assert inboxes.pending_users(older_than=timedelta(0)) == []
    assert inboxes.pending_users(older_than=timedelta(0)) == [ada.pk]


# --- Dedupe, receipts and profiles under real locks -------------------------------------------------------------------


def test_numbering_uses_the_index_of_pending_rows(ada):
    """Its cost must not grow with the table."""
    notify_many([ada] * 3_000, "announcement", "Hello")
    assign_revisions([ada.pk])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE messaging_notification")
    notify(ada, "announcement", "Hello")
    with CaptureQueriesContext(connection) as captured:
        assign_revisions([ada.pk])
    [sql] = [query["sql"] for query in captured if "picked" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "messaging_pending" in plan, plan
    assert "Seq Scan on messaging_notification" not in plan, plan
