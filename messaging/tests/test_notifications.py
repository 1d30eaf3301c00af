import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import notification_types, notifications
from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Inbox, Message, Notification
from messaging.notifications import mark_read, mark_unread, notify, notify_many, remove

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    """Raised to roll a transaction back."""


# --- notify ------------------------------------------------------------------------------------------------------


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


def test_presence_like_types_are_born_read(ada):
    assert notify(ada, "user_online", "grace is online").is_read is True
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


def test_notify_takes_three_round_trips_and_no_savepoint(ada):
    with CaptureQueriesContext(connection) as captured:
        notify(ada, "announcement", "Hello")
    assert len(captured) == 3  # BEGIN, INSERT, COMMIT
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        notify(ada, "announcement", "Hello")
    assert len(captured) == 1


def test_an_unknown_user_is_an_integrity_error(ada, announced):
    with pytest.raises(IntegrityError):
        notify(2**31 - 1, "announcement", "Hello")
    with pytest.raises(IntegrityError):
        notify_many([ada, 2**31 - 1], "announcement", "Hello")
    with pytest.raises(IntegrityError):
        notify(User(), "announcement", "Hello")
    assert not Notification.objects.exists()
    assert announced == []


# --- Duplicates ----------------------------------------------------------------------------------------------------


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


# --- notify_many -----------------------------------------------------------------------------------------------------


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
    with pytest.raises(IntegrityError):
        notify_many([*users, 2**31 - 1], "announcement", "Hello")
    assert not Notification.objects.exists()


def test_notifying_nobody_is_nothing(db, announced):
    assert notify_many([], "announcement", "Hello") == []
    assert announced == []


def test_users_may_be_a_generator(ada, grace):
    assert len(notify_many((user for user in (ada, grace)), "announcement", "Hello")) == 2
    assert len(notify_many(User.objects.all(), "announcement", "Hello")) == 2


# --- What is refused -----------------------------------------------------------------------------------------------


def refused(error, *args, **kwargs):
    with transaction.atomic():
        with pytest.raises(error):
            notify(*args, **kwargs)
        with pytest.raises(error):
            notify_many([args[0], args[0]], *args[1:], **kwargs)
        # Found out before the database was asked: the transaction goes on.
        assert not Notification.everything.exists()


@pytest.mark.parametrize("name", ["no_such_type", "", "NEW_MESSAGE", None])
def test_an_unknown_type_is_refused(ada, name):
    refused(UnknownNotificationType, ada, name, "Hello")


@pytest.mark.parametrize(
    "title", ["", "x" * 201, None, 5, b"bytes", "NUL \x00", "escape \x1b", "delete \x7f", "half \ud800"]
)
def test_a_title_that_cannot_be_stored_is_refused(ada, title):
    refused(InvalidNotification, ada, "announcement", title)


@pytest.mark.parametrize("description", ["x" * 501, None, 5, "NUL \x00", "half \udfff"])
def test_a_description_that_cannot_be_stored_is_refused(ada, description):
    refused(InvalidNotification, ada, "announcement", "Hello", description)


@pytest.mark.parametrize("level", ["critical", "INFO", "", 5, ["info"]])
def test_an_unknown_level_is_refused(ada, level):
    refused(InvalidNotification, ada, "announcement", "Hello", level=level)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "ftp://example.org/",
        "//example.org/",
        "/\\example.org/",
        "\\\\example.org/",
        "http:///example.org",
        "http:example.org",
        "https://",
        "news/1/",
        " /news/",
        "/news/ 1",
        "/news/\n",
        "/\t/example.org",
        "/né",
        "/" + "x" * 500,
        5,
        b"/news/",
    ],
)
def test_a_url_that_leads_astray_is_refused(ada, url):
    refused(InvalidNotification, ada, "announcement", "Hello", url=url)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/news/1/?page=2#top",
        "?page=2",
        "#top",
        "http://example.org",
        "HTTPS://example.org/%20",
        "/" + "x" * 499,
    ],
)
def test_relative_and_web_urls_are_stored(ada, url):
    assert notify(ada, "announcement", "Hello", url=url).url == url
    assert Notification.objects.get().url == url


@pytest.mark.parametrize("key", ["", "x" * 201, 5, "NUL \x00"])
def test_a_key_that_cannot_be_stored_is_refused(ada, key):
    refused(InvalidNotification, ada, "announcement", "Hello", dedupe_key=key)


def test_the_longest_texts_are_stored(ada):
    notify(ada, "announcement", "é" * 200, "🎉" * 500, dedupe_key="k" * 200)
    row = Notification.objects.get()
    assert (row.title, row.description, row.dedupe_key) == ("é" * 200, "🎉" * 500, "k" * 200)


def test_percent_signs_and_quotes_are_stored_as_they_are(ada):
    notify(ada, "announcement", "100 %s of 'all' \"the\" %(x)s; --", "line\nbreak\ttab")
    row = Notification.objects.get()
    assert (row.title, row.description) == ("100 %s of 'all' \"the\" %(x)s; --", "line\nbreak\ttab")


# --- Read, unread, remove ---------------------------------------------------------------------------------


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
def test_nobody_changes_somebody_elses_notifications(ada, grace, three, announced, change):
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
def test_two_who_change_the_same_at_once_share_it_out(ada, threads, change):
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


# --- A type of one's own ----------------------------------------------------------------------------------


def test_a_declared_type_is_all_it_takes(ada, assigned, monkeypatch):
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))
    notification_types.register(
        notification_types.NotificationType(name="build_failed", label="Build failed", level="error")
    )
    notify(ada, "build_failed", "main is red")
    [revision] = assigned(ada)
    [shape] = revision.added
    assert (shape.notification_type, shape.level) == ("build_failed", "error")
