"""Messages marked in bulk: `Message.objects.filter(...).mark_read()` has the effects of saving each."""

import pytest
from django.db import transaction

from messaging import notifications, signals
from messaging.models import Message, Notification
from messaging.orm import querysets
from messaging.signals import receivers_muted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(ada, grace):
    return [Message.objects.create(sender=ada, receiver=grace, content=f"Number {n}") for n in range(5)]


def receipts(user):
    rows = user.notifications.filter(notification_type="message_read").order_by("message")
    return list(rows.values_list("title", "description", "actor__username", "message"))


def test_marking_many_leaves_the_same_rows_as_saving_each(ada, grace, sent):
    for message in sent[:2]:
        message.is_read = True
        message.save()
    saved = receipts(ada)
    assert Message.objects.filter(pk__gt=sent[1].pk).mark_read() == 3
    marked = receipts(ada)[2:]
    assert [row[0] for row in marked] == [saved[0][0]] * 3
    assert [row[1].replace("Number 2", "Number 0") for row in marked[:1]] == [saved[0][1]]
    assert [row[2:] for row in marked] == [("grace", message.pk) for message in sent[2:]]
    assert not grace.notifications.filter(is_read=False).exists()


def test_it_goes_batch_by_batch(ada, sent, monkeypatch):
    monkeypatch.setattr(querysets, "MESSAGES_PER_TRANSACTION", 2)
    assert Message.objects.all().mark_read() == 5
    assert len(receipts(ada)) == 5
    assert Message.objects.all().mark_unread() == 5
    assert not Message.objects.filter(is_read=True).exists()


def test_a_rolled_back_marking_sends_no_event(ada, grace, sent, announced):
    announced.clear()
    with transaction.atomic():
        Message.objects.all().mark_read()
        transaction.set_rollback(True)
    assert announced == []
    assert receipts(ada) == []
    assert grace.notifications.filter(is_read=False).count() == 5


def test_a_receiver_that_fails_doesnt_keep_the_messages_unread(ada, sent, monkeypatch, caplog):
    def broken(messages):
        raise RuntimeError("No receipts today.")

    monkeypatch.setattr(signals, "send_receipts", broken)
    assert Message.objects.all().mark_read() == 5
    assert not Message.objects.filter(is_read=False).exists()
    assert receipts(ada) == []
    assert "messages_marked_notification failed" in caplog.text


def test_muted_receivers_make_no_receipts(ada, sent):
    with receivers_muted():
        Message.objects.all().mark_read()
    assert receipts(ada) == []


def test_rows_of_many_users_are_changed_and_counted_once(ada, grace, monkeypatch):
    monkeypatch.setattr(notifications, "ROWS_PER_UPDATE", 2)
    notifications.notify_many([ada, grace, ada, grace, ada], "announcement", "Hello")
    rows = Notification.objects.all()
    assert notifications.mark_rows_read(rows) == 5
    assert notifications.mark_rows_read(rows) == 0
    assert notifications.mark_rows_unread(rows.filter(user=ada)) == 3
    assert notifications.remove_rows(rows) == 5
    assert notifications.remove_rows(Notification.everything.all()) == 0
