"""Messages in the admin: sending one, and marking them read and unread."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging.models import Message, Notification
from messaging.tests.admin_client import admin_url
from messaging.tests.domain_replica import check_counts

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_message_sent_from_the_admin_notifies_its_receiver(admin, ada, grace, assigned):
    admin.post(reverse("admin:messaging_message_add"), sender=ada.pk, receiver=grace.pk, content="Hello!")
    [revision] = assigned(grace)
    assert revision.unread_count == 1
    assert revision.added[0].title == "New message from ada"


def test_a_message_to_oneself_is_refused(admin, ada):
    shown = admin.post(
        reverse("admin:messaging_message_add"), sender=ada.pk, receiver=ada.pk, content="Hello!"
    )
    assert "A message to oneself" in shown
    assert not Message.objects.exists()


def test_marking_messages_read_makes_receipts_lowers_the_badge_and_is_announced(
    admin, ada, grace, assigned, announced
):
    messages = [Message.objects.create(sender=ada, receiver=grace, content=f"{n}") for n in range(3)]
    assigned(grace)
    announced.clear()
    assert "3 messages marked read." in admin.run_action("mark_read", *messages)
    assert not Message.objects.filter(is_read=False).exists()
    touched = set().union(
        *(carried["user_ids"] for name, carried in announced if name == "notifications_pending")
    )
    assert touched == {ada.pk, grace.pk}
    [revision] = assigned(ada)
    assert [shape.notification_type for shape in revision.added] == ["message_read"] * 3
    [revision] = assigned(grace)
    assert (revision.unread_count, len(revision.read)) == (0, 3)
    check_counts(grace.pk)


def test_marking_messages_read_twice_makes_no_second_receipt(admin, ada, grace, assigned, announced):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("mark_read", message)
    assigned(ada)
    announced.clear()
    assert "0 messages marked read." in admin.run_action("mark_read", message)
    assert announced == []
    assert assigned(ada) == []


def test_marking_messages_unread_raises_the_badge_again_and_keeps_the_receipt(admin, ada, grace, assigned):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("mark_read", message)
    assigned(ada)
    assigned(grace)
    assert "1 message marked unread." in admin.run_action("mark_unread", message)
    message.refresh_from_db()
    assert message.is_read is False
    [revision] = assigned(grace)
    assert (revision.unread_count, len(revision.unread)) == (1, 1)
    assert assigned(ada) == []
    admin.run_action("mark_read", message)
    assert assigned(ada) == []
    [revision] = assigned(grace)
    assert revision.unread_count == 0


def test_marking_a_thousand_messages_takes_as_many_queries_as_two_batches(ada, grace):
    Message.objects.bulk_create(Message(sender=ada, receiver=grace, content="x") for _ in range(1000))
    with CaptureQueriesContext(connection) as captured:
        assert Message.objects.all().mark_read() == 1000
    assert len(captured) < 30
    assert Notification.objects.filter(user=ada, notification_type="message_read").count() == 1000


@pytest.mark.parametrize("is_read", [True, False])
def test_a_messages_page_marks_it_too(admin, ada, grace, assigned, is_read):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    if not is_read:
        Message.objects.filter(pk=message.pk).mark_read()
    assigned(grace)
    fields = {"is_read": "on"} if is_read else {}
    admin.post(admin_url(message, "change"), content="Something else", **fields)
    message.refresh_from_db()
    assert (message.is_read, message.content) == (is_read, "Hello!")
    [revision] = assigned(grace)
    assert revision.unread_count == (0 if is_read else 1)
    assert Notification.objects.filter(user=ada).count() == 1
