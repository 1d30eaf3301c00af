import contextlib
import logging

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext

from messaging import contacts, notifications, profiles, signals
from messaging.events import status_changed
from messaging.models import Contact, Inbox, Message, Notification, UserProfile
from messaging.signals import guarded, receivers_muted
from messaging.tests.presence import set_offline, set_online

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    """Raised to roll a transaction back."""


def send(sender, receiver, content="Hello!", **fields):
    return Message.objects.create(sender=sender, receiver=receiver, content=content, **fields)


def read(message):
    message.is_read = True
    message.save()


def texts(user):
    rows = Notification.objects.filter(user=user).order_by("id")
    return list(rows.values_list("notification_type", "title", "description"))


# --- The original project's example ------------------------------------------------------------------------


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


# --- Messages ------------------------------------------------------------------------------------------------


def test_a_message_tells_its_receiver(ada, grace):
    message = send(grace, ada)
    [row] = Notification.objects.all()
    assert texts(ada) == [
        ("new_message", "New message from grace", "You have received a new message: Hello!")
    ]
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
    assert Notification.objects.get().description == f"You have received a new message: {preview}"


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


def test_saving_a_message_again_tells_nobody(ada, grace):
    message = send(grace, ada)
    message.content = "Hello again!"
    message.save()
    assert Notification.objects.count() == 1


def test_reading_a_message_tells_its_sender_and_reads_the_notification(ada, grace):
    message = send(grace, ada)
    read(message)
    told = Notification.objects.get(user=ada)
    assert (told.notification_type, told.is_read) == ("new_message", True)
    receipt = Notification.objects.get(user=grace)
    assert texts(grace) == [("message_read", "Message read by ada", "ada has read your message: Hello!")]
    assert (receipt.actor, receipt.message, receipt.level, receipt.is_read) == (
        ada,
        message,
        "success",
        False,
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
        ("presence_changed", {"users": sorted([ada.pk, grace.pk])}),
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
    assert contacts.contacts_of(ada.pk) == [grace.pk]
    assert contacts.contacts_of(grace.pk) == [ada.pk]
    assert contacts.contacts_of(linus.pk) == []


def test_a_message_to_oneself_makes_no_contact(ada):
    send(ada, ada)
    assert not Contact.objects.exists()
    assert len(texts(ada)) == 1


# --- Users and their status ------------------------------------------------------------------------------------


def test_a_user_is_made_with_a_profile_and_an_inbox(ada):
    assert UserProfile.objects.get().user == ada
    assert Inbox.objects.get().user == ada
    ada.save()
    assert UserProfile.objects.count() == Inbox.objects.count() == 1


def test_those_contacts_hear_of_somebody_who_are_online(ada, grace, linus, margaret):
    for other in (grace, linus):
        contacts.meet(ada.pk, other.pk)
    set_online([grace.pk, margaret.pk])
    set_online([ada.pk])
    assert texts(grace) == [("user_online", "ada is online", "ada is now online.")]
    row = Notification.objects.get(user=grace)
    assert (row.actor, row.is_read, row.level) == (ada, True, "success")
    assert Notification.objects.count() == 1
    set_offline([ada.pk])
    assert texts(grace)[1:] == [("user_offline", "ada is offline", "ada is now offline.")]
    assert Notification.objects.count() == 2


def test_status_notifications_toast_and_never_count(ada, grace, assigned):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    set_online([ada.pk])
    [revision] = assigned(grace)
    assert [(shape.notification_type, shape.is_read) for shape in revision.added] == [("user_online", True)]
    assert revision.unread_count == 0


def test_status_notifications_are_one_a_pair_in_ten_minutes(ada, grace, monkeypatch):
    now = 1_000 * signals.STATUS_WINDOW
    monkeypatch.setattr("messaging.signals.time.time", lambda: now)
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    for _ in range(3):
        set_online([ada.pk])
        set_offline([ada.pk])
    assert [kind for kind, _, _ in texts(grace)] == ["user_online", "user_offline"]
    now += signals.STATUS_WINDOW - 1
    set_online([ada.pk])
    assert len(texts(grace)) == 2
    now += 1
    set_offline([ada.pk])
    assert [kind for kind, _, _ in texts(grace)] == ["user_online", "user_offline", "user_offline"]


def test_people_who_come_together_hear_of_each_other(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    set_online([ada.pk, grace.pk])
    assert len(texts(ada)) == len(texts(grace)) == 1


def test_a_status_takes_the_same_queries_for_1_contact_as_for_20(ada):
    others = [User.objects.create_user(f"user{number}") for number in range(20)]
    contacts.meet(ada.pk, others[0].pk)
    set_online([other.pk for other in others])
    with CaptureQueriesContext(connection) as one:
        set_online([ada.pk])
    for other in others:
        contacts.meet(ada.pk, other.pk)
    with CaptureQueriesContext(connection) as twenty:
        set_offline([ada.pk])
    assert Notification.objects.count() == 21
    assert len(one) == len(twenty)


def test_a_status_of_somebody_who_is_gone_tells_nobody(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    status_changed.send(sender=UserProfile, online=[2**31 - 1], offline=[])
    assert texts(grace) == []


def test_is_online_flipped_by_hand_takes_the_same_road(ada, grace, announced):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    announced.clear()
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    profile.save()
    assert ("presence_changed", {"users": [ada.pk]}) in announced
    assert ("status_changed", {"online": [ada.pk], "offline": []}) in announced
    assert texts(grace) == [("user_online", "ada is online", "ada is now online.")]
    announced.clear()
    profile.save()
    assert announced == []


# --- Receivers that fail -----------------------------------------------------------------------------------------


def python_error(*args, **kwargs):
    raise RuntimeError("broken on purpose")


def database_error(*args, **kwargs):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM no_such_table")


class Broken:
    """Stands in for a model: whatever is done with its rows fails."""

    def __init__(self, error):
        self.filter = self.get_or_create = error
        self.objects = self


@pytest.fixture(params=[python_error, database_error], ids=["python error", "database error"])
def error(request):
    return request.param


@pytest.fixture(params=["autocommit", "atomic"])
def within(request):
    """Do something as a view would: in autocommit, or in a transaction of its own that goes on afterwards."""

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
    return [record.getMessage() for record in records]


def test_a_message_is_saved_although_telling_fails(ada, grace, monkeypatch, error, within, caplog):
    monkeypatch.setattr(notifications, "notify", error)
    message = within(lambda: send(grace, ada))
    assert Message.objects.get() == message
    assert message._state.adding is False
    assert not Notification.objects.exists()
    assert not Contact.objects.exists(), "half of a receiver's work stayed"
    assert failures(caplog) == ["the receiver create_message_notification failed"]
    monkeypatch.undo()
    read(message)
    assert len(texts(grace)) == 1


def test_a_message_is_read_although_noticing_fails(ada, grace, monkeypatch, error, within, caplog):
    message = send(grace, ada)
    with monkeypatch.context() as patched:
        patched.setattr(signals, "Message", Broken(error))
        within(lambda: read(message))
    assert Message.objects.get().is_read is True
    assert texts(grace) == []
    assert failures(caplog) == ["the receiver note_reading failed"]


def test_a_message_is_read_although_the_receipt_fails(ada, grace, monkeypatch, error, within, caplog):
    message = send(grace, ada)
    monkeypatch.setattr(notifications, "create", error)
    within(lambda: read(message))
    assert Message.objects.get().is_read is True
    assert texts(grace) == []
    assert Notification.objects.get().is_read is False, "half of a receiver's work stayed"
    assert failures(caplog) == ["the receiver message_read_notification failed"]


def test_a_user_is_made_although_the_profile_fails(db, monkeypatch, error, within, caplog):
    monkeypatch.setattr(signals, "Inbox", Broken(error))
    within(lambda: User.objects.create_user("late"))
    user = User.objects.get(username="late")
    assert not UserProfile.objects.filter(user=user).exists()
    assert "the receiver create_user_profile failed" in failures(caplog)
    monkeypatch.undo()
    with transaction.atomic():
        assert [profile.user for profile in profiles.lock([user.pk])] == [user]


def test_a_profile_is_saved_although_announcing_fails(ada, monkeypatch, error, within, caplog):
    monkeypatch.setattr(profiles, "set_manually", error)
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    within(profile.save)
    assert UserProfile.objects.get(user=ada).is_online is True
    assert failures(caplog) == ["the receiver note_status failed"]


def test_a_status_is_stored_although_telling_fails(ada, monkeypatch, error, within, caplog):
    monkeypatch.setattr(contacts, "online_contacts", error)
    within(lambda: set_online([ada.pk]))
    assert UserProfile.objects.get(user=ada).is_online is True
    assert failures(caplog) == ["the receiver user_status_notification failed"]


@pytest.fixture(params=["before", "after"])
def another_receiver(request, monkeypatch):
    """A guarded receiver of somebody else's, run before or after ours: it greets the sender."""

    @guarded
    def greet(sender, *, instance, created, **kwargs):
        if created:
            notifications.create(
                [notifications.build(instance.sender, "announcement", "Your message is on its way")]
            )

    receivers = list(post_save.receivers)
    post_save.connect(greet, sender=Message)
    if request.param == "before":
        post_save.receivers.insert(0, post_save.receivers.pop())
    yield greet
    post_save.receivers = receivers
    post_save.sender_receivers_cache.clear()


def test_the_work_of_the_other_receivers_stands(
    ada, grace, monkeypatch, error, within, caplog, another_receiver
):
    monkeypatch.setattr(notifications, "notify", error)
    within(lambda: send(grace, ada))
    assert [title for _, title, _ in texts(grace)] == ["Your message is on its way"]
    assert texts(ada) == []
    assert failures(caplog) == ["the receiver create_message_notification failed"]


def test_a_receiver_with_no_guard_of_its_own_still_works_after_one_that_failed(
    ada, grace, monkeypatch, error, within, caplog
):
    seen = []

    def look(sender, instance, **kwargs):
        seen.append(Message.objects.filter(pk=instance.pk).count())

    post_save.connect(look, sender=Message)
    monkeypatch.setattr(notifications, "notify", error)
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


def test_nobody_on_the_way_hides_a_receiver_that_failed(ada, grace, linus, monkeypatch, within):
    """A receiver with a save of its own, whose receiver fails, in a `try` that means something else."""

    def forward(sender, instance, **kwargs):
        if instance.receiver == ada:
            with contextlib.suppress(Exception), transaction.atomic():
                send(ada, linus, instance.content)

    post_save.connect(forward, sender=Message)
    monkeypatch.setattr(notifications, "notify", python_error)
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


# --- Saves that receivers leave alone --------------------------------------------------------------------------


def test_fixtures_that_are_loaded_are_left_alone(ada, grace):
    message = send(grace, ada)
    raw = User.objects.create_user("raw")
    data = serializers.serialize("json", [raw, message])
    raw.delete()
    message.delete()
    Notification.everything.all()._raw_delete("default")
    for loaded in serializers.deserialize("json", data):
        loaded.save()
    raw = User.objects.get(username="raw")
    assert not UserProfile.objects.filter(user=raw).exists()
    assert Message.objects.get().content == "Hello!"
    assert not Notification.everything.exists()


def test_muted_receivers_do_nothing(ada, grace, announced):
    with receivers_muted():
        message = send(grace, ada)
        read(message)
        silent = User.objects.create_user("silent")
        set_online([ada.pk])
    assert not Notification.everything.exists()
    assert not Contact.objects.exists()
    assert not UserProfile.objects.filter(user=silent).exists()
    send(grace, ada)
    assert Notification.objects.count() == 1


def test_receivers_are_heard_again_after_an_error(ada, grace):
    with pytest.raises(Undo), receivers_muted():
        raise Undo
    send(grace, ada)
    assert Notification.objects.count() == 1


def test_muting_one_thread_leaves_the_others_alone(ada, grace, threads):
    with receivers_muted():
        threads.start(send, grace, ada)
        threads.join()
    assert Notification.objects.count() == 1


def test_connecting_twice_connects_once(ada, grace):
    before = len(post_save.receivers), len(pre_save.receivers), len(status_changed.receivers)
    signals.connect()
    assert before == (len(post_save.receivers), len(pre_save.receivers), len(status_changed.receivers))
    send(grace, ada)
    assert Notification.objects.count() == 1
