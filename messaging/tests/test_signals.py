"""What a message sets off: notifications, receipts and contacts."""

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.signals import post_save

from messaging import contacts, notifications
from messaging.models import Contact, Message, Notification
from messaging.tests.presence import set_online
from messaging.tests.rows import read, send, texts
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


# --- The original project's example -----------------------------------------------------------------------------------


def test_the_original_shell_example_works_as_written(db):
    user1 = User.objects.create_user("sender", "sender@test.com", "password")
    user2 = User.objects.create_user("receiver", "receiver@test.com", "password")
    message = Message.objects.create(sender=user1, receiver=user2, content="Hello!")
    assert Notification.objects.filter(user=user2).count() == 1
    assert Notification.objects.get(user=user2).notification_type == "new_message"
    message.is_read = True
    message.save()
    assert Notification.objects.filter(user=user1).count() == 1
    assert Notification.objects.get(user=user1).notification_type == "message_read"
    message.save()
    assert Notification.objects.filter(user=user1).count() == 1
    assert Notification.objects.count() == 2
    assert user1.profile.is_online is False
    assert list(user1.sent_messages.all()) == list(user2.received_messages.all()) == [message]


# --- Messages ---------------------------------------------------------------------------------------------------------


def test_a_message_notifies_its_receiver(ada, grace):
    message = send(grace, ada)
    [row] = Notification.objects.all()
    assert texts(ada) == [("new_message", "New message from grace", "Hello!")]
    assert (row.user, row.actor, row.message, row.level, row.is_read) == (ada, grace, message, "info", False)


@pytest.mark.parametrize(
    ("content", "preview"),
    [
        ("x" * 49, "x" * 49),
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 50 + "..."),
        ("é" * 1000, "é" * 50 + "..."),
        ("🎉" * 60, "🎉" * 50 + "..."),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        (
            "a bell \a and an escape \x1b[1m",
            "a bell \N{REPLACEMENT CHARACTER} and an escape \N{REPLACEMENT CHARACTER}[1m",
        ),
        ("<b>not bold</b>", "<b>not bold</b>"),
        ("", ""),
    ],
)
def test_a_preview_is_the_first_50_characters(ada, grace, content, preview):
    send(grace, ada, content)
    assert Notification.objects.get().description == preview


@pytest.mark.parametrize("name", ["x" * 150, "Ren\x1bée", "two words"])
def test_any_name_a_user_can_have_fits_into_a_notification(ada, name):
    named = User.objects.create_user(name)
    message = send(named, ada)
    read(message)
    answer = send(ada, named)
    read(answer)
    set_online([ada.pk, named.pk])
    assert {kind for kind, _, _ in texts(ada)} == {"new_message", "message_read", "user_online"}


def test_the_longest_name_fits_into_a_notification(ada, grace, monkeypatch):
    monkeypatch.setattr(User, "get_username", lambda user: "x" * 254)
    read(send(grace, ada))
    assert Notification.objects.count() == 2


def test_saving_a_message_again_notifies_no_one(ada, grace):
    message = send(grace, ada)
    message.content = "Hello again!"
    message.save()
    assert Notification.objects.count() == 1


def test_reading_a_message_notifies_its_sender_and_reads_the_notification(ada, grace):
    message = send(grace, ada)
    read(message)
    row = Notification.objects.get(user=ada)
    assert (row.notification_type, row.is_read) == ("new_message", True)
    receipt = Notification.objects.get(user=grace)
    assert texts(grace) == [("message_read", "Message read by ada", "Hello!")]
    assert (receipt.actor, receipt.message, receipt.level, receipt.is_read) == (
        ada,
        message,
        "success",
        True,
    )


def test_saving_a_read_message_twice_makes_one_receipt(ada, grace):
    message = send(grace, ada)
    read(message)
    message.save()
    read(Message.objects.get())
    assert len(texts(grace)) == 1


def test_a_message_that_was_read_before_reads_its_notification_no_more(ada, grace):
    message = send(grace, ada)
    read(message)
    notifications.mark_unread(ada, [Notification.objects.get(user=ada).pk])
    message.save()
    read(Message.objects.get())
    assert Notification.objects.get(user=ada).is_read is False


def test_a_message_that_is_unread_and_read_again_makes_one_receipt(ada, grace):
    message = send(grace, ada)
    read(message)
    message.is_read = False
    message.save()
    read(message)
    assert len(texts(grace)) == 1


def test_a_removed_receipt_does_not_come_back(ada, grace):
    message = send(grace, ada)
    read(message)
    Notification.objects.filter(user=grace).delete()
    message.is_read = False
    message.save()
    read(message)
    assert texts(grace) == []


def test_two_reads_at_once_make_one_receipt(ada, grace, threads):
    for _ in range(5):
        message = send(grace, ada)
        copies = [Message.objects.get(pk=message.pk) for _ in range(4)]
        threads.together(*[lambda copy=copy: read(copy) for copy in copies])
        assert Notification.objects.filter(user=grace, message=message).count() == 1


def test_a_stale_copy_that_is_saved_as_read_makes_no_second_receipt(ada, grace):
    message = send(grace, ada)
    stale = Message.objects.get()
    read(message)
    read(stale)
    assert len(texts(grace)) == 1


def test_update_fields_decide_whether_a_message_becomes_read(ada, grace):
    message = send(grace, ada)
    message.is_read = True
    message.save(update_fields=["content"])
    assert texts(grace) == []
    message.save(update_fields=["is_read"])
    assert len(texts(grace)) == 1


def test_a_message_that_is_made_read_has_no_receipt(ada, grace):
    send(grace, ada, is_read=True)
    assert texts(grace) == []


def test_a_rolled_back_message_makes_no_notification(ada, grace, announced):
    with pytest.raises(Undo), transaction.atomic():
        send(grace, ada)
        assert Notification.objects.count() == 1
        raise Undo
    assert not Message.objects.exists()
    assert not Notification.everything.exists()
    assert not Contact.objects.exists()
    assert announced == []


def test_a_rolled_back_reading_makes_no_receipt(ada, grace):
    message = send(grace, ada)
    with pytest.raises(Undo), transaction.atomic():
        read(message)
        raise Undo
    assert texts(grace) == []
    assert Notification.objects.get(user=ada).is_read is False
    read(Message.objects.get())
    assert len(texts(grace)) == 1


def test_a_message_and_its_notification_are_announced_together(ada, grace, announced):
    send(grace, ada)
    assert announced == [
        ("views_changed", {"views": [(ada.pk, grace.pk), (grace.pk, ada.pk)]}),
        ("notifications_pending", {"user_ids": {ada.pk}}),
    ]


def test_a_message_and_its_notification_are_committed_together(ada, grace):
    """In autocommit too: post_save must not run after the row's own commit."""
    inside = []

    def look(**kwargs):
        inside.append(connection.in_atomic_block)

    post_save.connect(look, sender=Message)
    try:
        send(grace, ada)
    finally:
        post_save.disconnect(look, sender=Message)
    assert inside == [True]


def test_a_message_makes_contacts_of_two_people(ada, grace, linus):
    send(grace, ada)
    send(ada, grace)
    seen = contacts.presence_seen_by([ada.pk, grace.pk, linus.pk])
    assert [[presence.user.id for presence in seen[user.pk]] for user in (ada, grace, linus)] == [
        [grace.pk],
        [ada.pk],
        [],
    ]


def test_a_message_to_oneself_makes_no_contact(ada):
    send(ada, ada)
    assert not Contact.objects.exists()
    assert len(texts(ada)) == 1
