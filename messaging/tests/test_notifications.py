from typing import cast

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import notification_types, notifications
from messaging.exceptions import InvalidNotification, UnknownUser
from messaging.models import Message, Notification
from messaging.notifications import notify, notify_many
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


# --- notify -----------------------------------------------------------------------------------------------------------


def test_notify_stores_and_returns_the_notification(ada, grace):
    message = Message.objects.create(sender=grace, receiver=ada, content="x")
    Notification.everything.all()._raw_delete("default")
    row = notify(
        ada,
        "announcement",
        "Doorbell is here",
        "At last.",
        level="warning",
        url="/news/1/",
        actor=grace,
        message=message,
        dedupe_key="news:1",
    )
    stored = Notification.objects.get()
    assert row == stored
    for field in Notification._meta.concrete_fields:
        assert getattr(row, field.attname) == getattr(stored, field.attname), field.name
    assert (stored.user, stored.actor, stored.message) == (ada, grace, message)
    assert (stored.notification_type, stored.title, stored.description) == (
        "announcement",
        "Doorbell is here",
        "At last.",
    )
    assert (stored.level, stored.url, stored.dedupe_key) == ("warning", "/news/1/", "news:1")
    assert (stored.is_read, stored.revision, stored.counted, stored.removed_at) == (False, None, False, None)
    assert stored.created_at == stored.pending_since


def test_users_actors_and_messages_may_be_ids(ada, grace):
    message = Message.objects.create(sender=grace, receiver=ada, content="x")
    row = notify(ada.pk, "announcement", "Hello", actor=grace.pk, message=message.pk)
    assert (row.user, row.actor, row.message) == (ada, grace, message)


def test_what_notify_returns_can_be_saved_and_deleted(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    row.is_read = True
    row.save()
    assert Notification.objects.get().is_read is True
    row.delete()
    assert not Notification.objects.exists()
    [revision] = assigned(ada)
    assert revision.removed == [row.pk]


def test_the_level_is_the_types_own_if_none_is_given(ada):
    assert notify(ada, "message_read", "Read").level == "success"
    assert notify(ada, "message_read", "Read", level="error").level == "error"


def test_types_that_do_not_count_are_created_as_read(ada):
    assert notify(ada, "user_online", "grace is online").is_read is True
    assert notify(ada, "message_read", "Read").is_read is True
    assert notify(ada, "announcement", "Hello").is_read is False


def test_notify_announces_its_user_after_commit(ada, announced):
    with transaction.atomic():
        notify(ada, "announcement", "Hello")
        assert announced == []
    assert announced == [("notifications_pending", {"user_ids": {ada.pk}})]


def test_notify_inside_a_transaction_goes_with_it(ada, announced):
    with pytest.raises(Undo), transaction.atomic():
        notify(ada, "announcement", "Hello")
        raise Undo
    assert not Notification.objects.exists()
    assert announced == []


def test_notify_takes_one_round_trip_and_no_savepoint(ada, grace):
    with CaptureQueriesContext(connection) as captured:
        notify(ada, "announcement", "Hello")
        notify(ada, "message_read", "Hello", actor=grace)
    assert len(captured) == 2
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        notify(ada, "announcement", "Hello")
    assert len(captured) == 1


def test_an_unknown_user_is_an_error_of_ours_and_the_transaction_goes_on(ada, announced):
    with transaction.atomic():
        with pytest.raises(UnknownUser):
            notify(2**31 - 1, "announcement", "Hello")
        with pytest.raises(InvalidNotification):
            notify(User(), "announcement", "Hello")
        assert not Notification.objects.exists()
    assert announced == []


def test_an_unknown_user_among_many_fails_no_other(ada, grace):
    created = notify_many([ada, 2**31 - 1, grace], "announcement", "Hello", dedupe_key="k")
    assert [row.user_id for row in created] == [ada.pk, grace.pk]


def test_an_actor_and_a_message_that_are_gone_are_left_out(ada):
    row = notify(ada, "announcement", "Hello", actor=2**31 - 1, message=2**31 - 1)
    row = Notification.objects.get(pk=row.pk)
    assert (row.actor_id, row.message_id) == (None, None)


# --- Duplicates -------------------------------------------------------------------------------------------------------


def test_a_dedupe_key_lets_one_through(ada, grace, announced):
    first = notify(ada, "announcement", "Hello", dedupe_key="hello")
    announced.clear()
    assert notify(ada, "announcement", "Hello", dedupe_key="hello") is None
    assert announced == []
    assert list(Notification.objects.all()) == [first]
    assert notify(grace, "announcement", "Hello", dedupe_key="hello") is not None
    assert notify(ada, "announcement", "Hello", dedupe_key="hello again") is not None


def test_a_duplicate_does_not_poison_the_transaction(ada):
    with transaction.atomic():
        notify(ada, "announcement", "Hello", dedupe_key="hello")
        assert notify(ada, "announcement", "Hello", dedupe_key="hello") is None
        notify(ada, "announcement", "Another")
    assert Notification.objects.count() == 2


def test_a_removed_notification_still_keeps_its_key(ada):
    notify(ada, "announcement", "Hello", dedupe_key="hello").delete()
    assert notify(ada, "announcement", "Hello", dedupe_key="hello") is None


def test_a_rolled_back_notification_frees_its_key(ada):
    with pytest.raises(Undo), transaction.atomic():
        notify(ada, "announcement", "Hello", dedupe_key="hello")
        raise Undo
    assert notify(ada, "announcement", "Hello", dedupe_key="hello") is not None


def test_the_same_key_many_times_at_once_makes_one(ada, threads):
    made = []
    threads.together(*[lambda: made.append(notify(ada, "announcement", "Hello", dedupe_key="hello"))] * 6)
    assert len([row for row in made if row is not None]) == 1
    assert Notification.objects.count() == 1


def test_notify_many_returns_only_what_it_made(ada, grace, linus):
    notify(grace, "announcement", "Hello", dedupe_key="hello")
    made = notify_many([ada, grace, linus, ada], "announcement", "Hello", dedupe_key="hello")
    assert [row.user_id for row in made] == [ada.pk, linus.pk]
    assert {row.pk for row in made} < set(Notification.objects.values_list("pk", flat=True))
    assert Notification.objects.count() == 3


def test_each_row_gets_its_own_id_back(ada, grace):
    """With and without keys, for one user and several, in one insert."""
    rows = [
        notifications.build(user, "announcement", str(number), dedupe_key=key)
        for number, (user, key) in enumerate(
            [(ada, None), (grace, "a"), (ada, "a"), (ada, None), (grace, "a"), (grace, None), (ada, "b")]
        )
    ]
    made = notifications.create(rows)
    assert [row.title for row in made] == ["0", "1", "2", "3", "5", "6"]
    for row in made:
        stored = Notification.objects.get(pk=row.pk)
        assert (stored.title, stored.user_id, stored.dedupe_key) == (row.title, row.user_id, row.dedupe_key)


# --- notify_many ------------------------------------------------------------------------------------------------------


def test_notifying_10000_users_is_one_insert_for_each_2000(db, announced):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(10_000))
    announced.clear()
    with CaptureQueriesContext(connection) as captured:
        made = notify_many(users, "announcement", "Hello", dedupe_key="hello")
    assert len(captured) == 5 + 2  # BEGIN and COMMIT
    assert len(made) == Notification.objects.count() == 10_000
    assert announced == [("notifications_pending", {"user_ids": {user.pk for user in users}})]


def test_notify_many_is_all_or_nothing(db):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(501))
    with pytest.raises(InvalidNotification):
        notify_many([*users, User()], "announcement", "x" * 201)
    with pytest.raises(InvalidNotification):
        notify_many(cast("list[User]", [*users, "1"]), "announcement", "Hello")
    assert not Notification.objects.exists()


def test_notifying_no_users_does_nothing(db, announced):
    assert notify_many([], "announcement", "Hello") == []
    assert announced == []


def test_users_may_be_a_generator(ada, grace):
    assert len(notify_many((user for user in (ada, grace)), "announcement", "Hello")) == 2
    assert len(notify_many(User.objects.all(), "announcement", "Hello")) == 2


# --- A type of one's own ----------------------------------------------------------------------------------------------


def test_a_declared_type_is_all_it_takes(ada, assigned, monkeypatch):
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))
    notification_types.register(
        notification_types.NotificationType(name="build_failed", label="Build failed", level="error")
    )
    notify(ada, "build_failed", "main is red")
    [revision] = assigned(ada)
    [shape] = revision.added
    assert (shape.notification_type, shape.level) == ("build_failed", "error")
