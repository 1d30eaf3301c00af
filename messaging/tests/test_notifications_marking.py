"""Notifications marked read and unread, and removed: what changes, for whom, and at what cost."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import notifications
from messaging.models import Inbox, Message, Notification
from messaging.notifications import mark_read, mark_unread, notify, notify_many, remove
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three(ada):
    return [notify(ada, "announcement", str(number)).pk for number in range(3)]


def unread(user):
    return sorted(Notification.objects.filter(user=user, is_read=False).values_list("id", flat=True))


def test_mark_read_returns_what_it_changed(ada, three, announced):
    announced.clear()
    assert mark_read(ada, three[:2]) == three[:2]
    assert announced == [("notifications_pending", {"user_ids": {ada.pk}})]
    announced.clear()
    assert mark_read(ada, three) == three[2:]
    assert mark_read(ada.pk, three) == []
    assert announced[1:] == []
    assert unread(ada) == []


def test_mark_read_without_ids_means_all(ada, grace, three):
    other = notify(grace, "announcement", "Hello")
    assert mark_read(ada) == three
    assert unread(grace) == [other.pk]
    assert mark_read(ada) == []


def test_no_ids_are_none_and_not_all(ada, three):
    assert mark_read(ada, []) == []
    assert remove(ada, []) == []
    assert unread(ada) == three


def test_very_many_are_marked_read_batch_by_batch(ada, grace, announced, assigned, monkeypatch):
    monkeypatch.setattr(notifications, "ROWS_PER_UPDATE", 2)
    rows = notify_many([ada, ada, grace, ada, ada, ada], "announcement", "Hello")
    assigned(ada)
    announced.clear()
    assert mark_read(ada) == [row.pk for row in rows if row.user_id == ada.pk]
    assert announced == [("notifications_pending", {"user_ids": {ada.pk}})] * 3
    assert assigned(ada)[0].unread_count == 0
    assert Notification.objects.get(user=grace).is_read is False
    announced.clear()
    assert mark_unread(ada, [row.pk for row in reversed(rows)]) == [
        row.pk for row in rows if row.user_id == ada.pk
    ]
    assert assigned(ada)[0].unread_count == 5


def test_marking_all_in_a_transaction_is_undone_with_it(ada, monkeypatch):
    monkeypatch.setattr(notifications, "ROWS_PER_UPDATE", 2)
    notify_many([ada] * 5, "announcement", "Hello")
    with transaction.atomic():
        assert len(mark_read(ada)) == 5
        transaction.set_rollback(True)
    assert Notification.objects.filter(is_read=False).count() == 5


def test_mark_unread_returns_what_it_changed(ada, three):
    mark_read(ada, three[:1])
    assert mark_unread(ada, three) == three[:1]
    assert unread(ada) == three


def test_remove_returns_what_it_changed(ada, three):
    assert remove(ada, three[:1]) == three[:1]
    assert remove(ada, three[:2]) == three[1:2]
    assert Notification.objects.count() == 1
    assert Notification.everything.count() == 3


def test_what_is_removed_is_neither_read_nor_unread(ada, three):
    remove(ada, three)
    assert mark_read(ada) == mark_read(ada, three) == mark_unread(ada, three) == []


@pytest.mark.parametrize("change", [mark_read, mark_unread, remove])
def test_no_user_changes_anothers_notifications(ada, grace, three, announced, change):
    mark_read(ada, three[:1])
    announced.clear()
    assert change(grace, three) == []
    assert announced == []
    assert len(unread(ada)) == 2


@pytest.mark.parametrize("change", [mark_read, mark_unread, remove])
def test_a_rolled_back_change_changes_nothing(ada, three, announced, change):
    mark_read(ada, three[:1])
    announced.clear()
    with pytest.raises(Undo), transaction.atomic():
        assert change(ada, three)
        raise Undo
    assert unread(ada) == three[1:]
    assert announced == []


@pytest.mark.parametrize("change", [mark_read, remove])
def test_concurrent_changes_of_the_same_rows_each_return_their_own(ada, threads, change):
    rows = [row.pk for row in notify_many([ada] * 50, "announcement", "Hello")]
    changed = []
    threads.together(*[lambda: changed.extend(change(ada, rows))] * 4)
    assert sorted(changed) == rows


def test_reading_and_unreading_at_once_agree_with_the_rows(ada, threads, assigned):
    rows = [row.pk for row in notify_many([ada] * 20, "announcement", "Hello")]
    threads.together(*[lambda: mark_read(ada, rows), lambda: mark_unread(ada, rows[::-1])] * 3)
    assigned(ada)
    assert Inbox.objects.get(user=ada).unread_count == len(unread(ada))


@pytest.mark.parametrize("count", [1, 200])
def test_changes_take_the_same_queries_for_1_row_as_for_200(ada, count):
    rows = [row.pk for row in notify_many([ada] * count, "announcement", "Hello")]
    with CaptureQueriesContext(connection) as captured:
        mark_read(ada, rows)
    assert len(captured) == 4  # BEGIN, SELECT, UPDATE, COMMIT


def test_thousands_are_marked_read_at_once(ada, assigned):
    notify_many([ada] * 5_001, "announcement", "Hello")
    assert len(mark_read(ada)) == 5_001
    assert assigned(ada)[-1].unread_count == 0


def test_reading_a_notification_does_not_read_its_message(ada, grace):
    message = Message.objects.create(sender=grace, receiver=ada, content="x")
    mark_read(ada)
    message.refresh_from_db()
    assert message.is_read is False
    assert not Notification.objects.filter(user=grace).exists()
