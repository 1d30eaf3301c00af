"""Receivers that fail: the failure is logged, and the save stands."""

import contextlib
import logging

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from messaging import contacts, notifications, profiles, signals
from messaging.models import Contact, Message, Notification, UserProfile
from messaging.signals import guarded
from messaging.tests.presence import set_online
from messaging.tests.rows import read, send, texts

pytestmark = pytest.mark.django_db(transaction=True)


def python_error(*args, **kwargs):
    raise RuntimeError("broken on purpose")


def database_error(*args, **kwargs):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM no_such_table")


class Broken:
    """Stands in for a model: any access to its rows fails."""

    def __init__(self, error):
        self.filter = self.get_or_create = error
        self.objects = self


@pytest.fixture(params=[python_error, database_error], ids=["python error", "database error"])
def error(request):
    return request.param


@pytest.fixture(params=["autocommit", "atomic"])
def within(request):
    """Do something as a view would: in autocommit, or in a transaction that continues afterwards."""

    def run(function):
        if request.param == "autocommit":
            return function()
        with transaction.atomic():
            result = function()
            # The transaction isn't poisoned: it takes further work, and keeps it.
            User.objects.create(username="afterwards")
        assert User.objects.filter(username="afterwards").exists()
        return result

    return run


def failures(caplog):
    records = [record for record in caplog.records if record.name == "messaging.signals"]
    assert all(record.levelno == logging.ERROR and record.exc_info for record in records)
    return [record.getMessage().partition(";")[0] for record in records]


def test_a_message_is_saved_although_its_notification_fails(ada, grace, monkeypatch, error, within, caplog):
    monkeypatch.setattr(notifications, "create", error)
    message = within(lambda: send(grace, ada))
    assert Message.objects.get() == message
    assert message._state.adding is False
    assert not Notification.objects.exists()
    assert not Contact.objects.exists(), "half of a receiver's work stayed"
    assert failures(caplog) == ["receiver create_message_notification failed"]
    monkeypatch.undo()
    read(message)
    assert len(texts(grace)) == 1


def test_a_message_is_read_although_noting_it_fails(ada, grace, monkeypatch, error, within, caplog):
    message = send(grace, ada)
    with monkeypatch.context() as patched:
        patched.setattr(signals, "Message", Broken(error))
        within(lambda: read(message))
    assert Message.objects.get().is_read is True
    assert texts(grace) == []
    assert failures(caplog) == ["receiver note_reading failed"]


def test_a_message_is_read_although_the_receipt_fails(ada, grace, monkeypatch, error, within, caplog):
    message = send(grace, ada)
    monkeypatch.setattr(notifications, "create", error)
    within(lambda: read(message))
    assert Message.objects.get().is_read is True
    assert texts(grace) == []
    assert Notification.objects.get().is_read is False, "half of a receiver's work stayed"
    assert failures(caplog) == ["receiver message_read_notification failed"]


def test_a_user_is_made_although_the_profile_fails(db, monkeypatch, error, within, caplog):
    monkeypatch.setattr(signals, "Inbox", Broken(error))
    within(lambda: User.objects.create_user("late"))
    user = User.objects.get(username="late")
    assert not UserProfile.objects.filter(user=user).exists()
    assert "receiver create_user_profile failed" in failures(caplog)
    monkeypatch.undo()
    with transaction.atomic():
        assert [profile.user for profile in profiles.lock([user.pk])] == [user]


def test_a_profile_is_saved_although_announcing_fails(ada, monkeypatch, error, within, caplog):
    monkeypatch.setattr(profiles, "set_manually", error)
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    within(profile.save)
    assert UserProfile.objects.get(user=ada).is_online is True
    assert failures(caplog) == ["receiver note_status failed"]


def test_a_status_is_stored_although_its_notification_fails(ada, monkeypatch, error, within, caplog):
    monkeypatch.setattr(contacts, "online_contacts", error)
    within(lambda: set_online([ada.pk]))
    assert UserProfile.objects.get(user=ada).is_online is True
    assert failures(caplog) == ["receiver user_status_notification failed"]


@pytest.fixture(params=["before", "after"])
def another_receiver(request, monkeypatch):
    """Another app's guarded receiver, run before or after ours: it notifies the sender."""

    @guarded
    def notify_sender(sender, *, instance, created, **kwargs):
        if created:
            notifications.notify(instance.sender, "announcement", "Your message is on its way")

    receivers = list(post_save.receivers)
    post_save.connect(notify_sender, sender=Message)
    if request.param == "before":
        post_save.receivers.insert(0, post_save.receivers.pop())
    yield notify_sender
    post_save.receivers = receivers
    post_save.sender_receivers_cache.clear()


def test_the_work_of_the_other_receivers_stands(
    ada, grace, monkeypatch, error, within, caplog, another_receiver
):
    monkeypatch.setattr(notifications, "create", error)
    within(lambda: send(grace, ada))
    assert [title for _, title, _ in texts(grace)] == ["Your message is on its way"]
    assert texts(ada) == []
    assert failures(caplog) == ["receiver create_message_notification failed"]


def test_a_receiver_with_no_guard_of_its_own_still_works_after_one_that_failed(
    ada, grace, monkeypatch, error, within, caplog
):
    seen = []

    def look(sender, instance, **kwargs):
        seen.append(Message.objects.filter(pk=instance.pk).count())

    post_save.connect(look, sender=Message)
    monkeypatch.setattr(notifications, "create", error)
    try:
        within(lambda: send(grace, ada))
    finally:
        post_save.disconnect(look, sender=Message)
    assert Message.objects.count() == 1
    assert seen == [1]


def test_without_the_guard_a_receiver_that_fails_fails_the_save(ada, grace):
    """Negative control."""

    def fail(**kwargs):
        raise RuntimeError("broken on purpose")

    post_save.connect(fail, sender=Message)
    try:
        with pytest.raises(RuntimeError):
            send(grace, ada)
    finally:
        post_save.disconnect(fail, sender=Message)
    assert not Message.objects.exists()
    assert not Notification.objects.exists()


def test_no_handler_in_between_hides_a_receiver_that_failed(ada, grace, linus, monkeypatch, within):
    """A receiver with a save of its own, whose receiver fails, in a `try` that means something else."""

    def forward(sender, instance, **kwargs):
        if instance.receiver == ada:
            with contextlib.suppress(Exception), transaction.atomic():
                send(ada, linus, instance.content)

    post_save.connect(forward, sender=Message)
    monkeypatch.setattr(notifications, "create", python_error)
    try:
        within(lambda: send(grace, ada))
    finally:
        post_save.disconnect(forward, sender=Message)
    assert set(Message.objects.values_list("receiver", flat=True)) == {ada.pk, linus.pk}


def test_what_fails_in_the_save_itself_is_raised(ada, grace, within):
    message = send(grace, ada)
    with pytest.raises(IntegrityError):
        within(lambda: Message(pk=message.pk, sender=grace, receiver=ada).save(force_insert=True))


def test_a_save_takes_no_savepoint_in_autocommit(ada, grace):
    send(grace, ada)
    with CaptureQueriesContext(connection) as captured:
        send(grace, ada)
    assert not [query["sql"] for query in captured if "SAVEPOINT" in query["sql"]]
    # BEGIN, the message, is it a contact?, the notification, COMMIT
    assert len(captured) == 5
