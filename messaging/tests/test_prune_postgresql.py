"""What only row locks can show of pruning: collected on PostgreSQL only (conftest.py)."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from messaging import pruning
from messaging.models import Inbox, Message, Notification
from messaging.notifications import assign_revisions, mark_read, notify, notify_many, remove
from messaging.tests.domain_replica import check_counts, fresh_read

pytestmark = pytest.mark.django_db(transaction=True)

MONTH = timedelta(days=30)


def make_old(**values):
    QuerySet.update(Notification.everything.all(), **values)


@pytest.fixture
def held(threads):
    """Another transaction, which has marked this row read and stays open until the test ends."""
    go_on = threading.Event()

    def hold(row):
        done = threading.Event()

        def run():
            with transaction.atomic():
                Notification.everything.filter(pk=row.pk).mark_pending(is_read=True)
                done.set()
                assert go_on.wait(30)

        threads.start(run)
        assert done.wait(10)
        return go_on

    yield hold
    go_on.set()


def test_it_waits_for_no_open_transaction_and_comes_back_later(ada, held, threads):
    rows = notify_many([ada] * 3, "announcement", "Old")
    assign_revisions([ada.pk])
    make_old(created_at=Now() - MONTH * 2)
    go_on = held(rows[1])
    assert list(pruning.remove_outdated(MONTH)) == [2]
    assert [row.pk for row in Notification.objects.all()] == [rows[1].pk]
    go_on.set()
    threads.join()
    assert list(pruning.remove_outdated(MONTH)) == [1]
    check_counts(ada.pk)


def test_a_locked_tombstone_is_skipped(ada, held):
    rows = notify_many([ada] * 3, "announcement", "Old")
    assign_revisions([ada.pk])
    remove(ada, [row.pk for row in rows])
    assign_revisions([ada.pk])
    make_old(removed_at=Now() - MONTH * 2)
    held(rows[1])
    assert list(pruning.delete_expired_tombstones()) == [2]
    assert Notification.everything.get().pk == rows[1].pk
    assert Inbox.objects.get(user=ada).floor == 2


def test_pruning_among_writers_and_readers_loses_nothing_and_never_deadlocks(
    ada, grace, threads, monkeypatch
):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 20)
    notify_many([ada, grace] * 300, "announcement", "Old")
    assign_revisions([ada.pk, grace.pk])
    make_old(created_at=Now() - MONTH * 2)
    over = threading.Event()

    def write(sender, receiver):
        while not over.is_set():
            message = Message.objects.create(sender=sender, receiver=receiver, content="x")
            Message.objects.filter(pk=message.pk).mark_read()
            mark_read(receiver)
            assign_revisions([grace.pk, ada.pk])

    def forget():
        while not over.is_set():
            QuerySet.update(
                Notification.everything.filter(removed_at__isnull=False), removed_at=Now() - MONTH * 2
            )
            list(pruning.delete_expired_tombstones())

    for work in (lambda: write(ada, grace), lambda: write(grace, ada), forget):
        threads.start(work)
    try:
        while Notification.objects.filter(title="Old").exists():
            list(pruning.remove_outdated(MONTH))
    finally:
        over.set()
    threads.join()
    assign_revisions([ada.pk, grace.pk])
    for user in (ada, grace):
        check_counts(user.pk)
        inbox = Inbox.objects.get(user=user)
        assert 0 < inbox.floor <= inbox.revision
        assert fresh_read(user.pk).unread_count == 0 or inbox.unread_count > 0


def test_two_prunings_at_once_do_each_row_once(ada, threads, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 10)
    notify_many([ada] * 100, "announcement", "Old")
    assign_revisions([ada.pk])
    make_old(created_at=Now() - MONTH * 2)
    counts: list[int] = []
    threads.together(*[lambda: counts.extend(pruning.remove_outdated(MONTH))] * 3)
    assert sum(counts) == 100
    check_counts(ada.pk)
    make_old(removed_at=Now() - MONTH * 2)
    counts.clear()
    threads.together(*[lambda: counts.extend(pruning.delete_expired_tombstones())] * 3)
    assert sum(counts) == 100
    assert not Notification.everything.exists()


def test_marking_the_same_messages_from_two_sides_makes_each_receipt_once(ada, grace, threads):
    Message.objects.bulk_create(Message(sender=ada, receiver=grace, content="x") for _ in range(300))
    counts = []
    threads.together(
        *[lambda: counts.append(Message.objects.all().mark_read())] * 2,
        lambda: counts.append(Message.objects.order_by("-pk").mark_read()),
    )
    assert sum(counts) == 300
    assert Notification.objects.filter(user=ada, notification_type="message_read").count() == 300


def test_a_notification_made_while_it_prunes_is_left_alone(ada):
    notify(ada, "announcement", "Old")
    make_old(created_at=Now() - MONTH * 2)
    batches = pruning.remove_outdated(MONTH)
    next(batches)
    notify(ada, "announcement", "New")
    assert list(batches) == []
    assert Notification.objects.get().title == "New"
