from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Value
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.exceptions import InvalidNotification
from messaging.models import Contact, Inbox, Message, Notification, UserProfile, new_epoch
from messaging.notifications import assign_revisions, notify

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"notification_type": "announcement", "title": "Hello"}


# --- Notifications -----------------------------------------------------------------------------------------------


def test_the_default_manager_shows_living_rows(ada):
    living, gone = notify(ada, "announcement", "1"), notify(ada, "announcement", "2")
    gone.delete()
    assert list(Notification.objects.all()) == [living]
    assert list(ada.notifications.all()) == [living]
    assert set(Notification.everything.all()) == {living, gone}
    assert Notification._default_manager.count() == 1


def test_deleting_leaves_a_tombstone_and_says_how_many(ada, grace):
    mine, other = notify(ada, "announcement", "1"), notify(grace, "announcement", "2")
    assert mine.delete() == (1, {"messaging.Notification": 1})
    assert mine.delete() == (0, {})
    assert Notification.objects.all().delete() == (1, {"messaging.Notification": 1})
    assert Notification.everything.filter(removed_at=None).count() == 0
    assert {mine, other} == set(Notification.everything.all())


def test_a_tombstone_keeps_the_moment_it_was_made(ada):
    row = notify(ada, "announcement", "1")
    row.delete()
    before = Notification.everything.get().removed_at
    Notification.everything.all().delete()
    assert Notification.everything.get().removed_at == before


def test_an_update_counts_its_rows_and_announces_each_owner_once(ada, grace, linus, announced):
    for user in (ada, ada, grace, linus):
        notify(user, "announcement", "Hello")
    announced.clear()
    assert Notification.objects.filter(user__in=[ada, grace]).update(is_read=True) == 3
    assert announced == [("notifications_pending", {"user_ids": {ada.pk, grace.pk}})]
    announced.clear()
    assert Notification.objects.filter(title="nothing").update(is_read=True) == 0
    assert announced == []


def test_an_update_is_announced_after_commit_only(ada, announced):
    notify(ada, "announcement", "Hello")
    announced.clear()
    with transaction.atomic():
        Notification.objects.update(is_read=True)
        Notification.objects.get().save()
        Notification.objects.bulk_create([Notification(user=ada, **NEW)])
        Notification.objects.all().delete()
        assert announced == []
    assert announced
    assert all(event == ("notifications_pending", {"user_ids": {ada.pk}}) for event in announced)


def test_bulk_create_announces_each_owner_once(ada, grace, announced):
    made = Notification.objects.bulk_create(Notification(user=user, **NEW) for user in (ada, grace, ada))
    assert len(made) == 3
    assert announced == [("notifications_pending", {"user_ids": {ada.pk, grace.pk}})]


def test_saving_announces_the_owner(ada, announced):
    row = Notification(user=ada, **NEW)
    row.save()
    assert announced == [("notifications_pending", {"user_ids": {ada.pk}})]
    announced.clear()
    row.save()
    assert announced == [("notifications_pending", {"user_ids": {ada.pk}})]


def test_the_database_says_since_when_a_row_is_pending(ada):
    row = Notification(user=ada, **NEW)
    row.save()
    first = row.pending_since
    assert first is not None
    assert abs(timezone.now() - first) < timedelta(seconds=30)
    assign_revisions([ada.pk])
    row = Notification.objects.get(pending_since=None)
    row.save()
    assert row.pending_since is not None
    assert row.pending_since >= first
    assert row.pending_since == Notification.objects.get().pending_since


def test_a_save_that_names_no_fields_writes_all_but_the_bookkeeping(ada):
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    with CaptureQueriesContext(connection) as captured:
        row.save()
    [sql] = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
    assert '"title"' in sql
    assert '"pending_since"' in sql
    for column in ("revision", "counted", "created_at", "removed_at"):
        assert f'"{column}"' not in sql


def test_a_row_read_in_part_is_saved_in_part(ada):
    notify(ada, "announcement", "Hello", "World")
    Notification.objects.update(description="changed meanwhile")
    row = Notification.objects.only("title").get()
    row.title = "Hello again"
    row.save()
    stored = Notification.objects.get()
    assert (stored.title, stored.description) == ("Hello again", "changed meanwhile")


def test_a_key_is_unique_for_its_user(ada, grace):
    notify(ada, "announcement", "Hello", dedupe_key="hello")
    Notification.objects.create(user=grace, dedupe_key="hello", **NEW)
    Notification.objects.create(user=ada, **NEW)
    Notification.objects.create(user=ada, **NEW)
    with pytest.raises(IntegrityError):
        Notification.objects.create(user=ada, dedupe_key="hello", **NEW)


def test_a_listener_that_fails_does_not_fail_the_save(ada, caplog):
    from messaging.events import notifications_pending

    def listener(**kwargs):
        raise RuntimeError("deaf")

    notifications_pending.connect(listener)
    Notification.objects.create(user=ada, **NEW)
    Notification.objects.update(is_read=True)
    assert Notification.objects.get().is_read is True
    assert "deaf" in caplog.text


@pytest.mark.django_db(transaction=False)
def test_inside_a_testcase_nothing_is_announced(ada, announced, django_capture_on_commit_callbacks):
    """There, on-commit hooks can run inside the transaction, whose rows no other connection can see."""
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        notify(ada, "announcement", "Hello")
    assert callbacks
    assert announced == []


# --- Messages ---------------------------------------------------------------------------------------------------


def test_a_conversation_has_both_directions_and_no_one_else(ada, grace, linus):
    ours = [
        Message.objects.create(sender=ada, receiver=grace, content="1"),
        Message.objects.create(sender=grace, receiver=ada, content="2"),
    ]
    Message.objects.create(sender=linus, receiver=ada, content="3")
    Message.objects.create(sender=grace, receiver=linus, content="4")
    assert list(Message.objects.between(ada, grace)) == ours[::-1]
    assert list(Message.objects.between(grace.pk, ada.pk)) == ours[::-1]


def test_deleting_a_message_leaves_its_notification(ada, grace):
    Message.objects.create(sender=ada, receiver=grace, content="1").delete()
    assert Notification.objects.get().message is None


# --- Inboxes, contacts, profiles -----------------------------------------------------------------------------------


def test_every_inbox_has_an_epoch_of_its_own(ada, grace):
    epochs = list(Inbox.objects.values_list("epoch", flat=True))
    assert len(set(epochs)) == 2
    assert all(0 < len(epoch) <= 16 for epoch in epochs)
    assert len(new_epoch()) <= 16


def test_a_pair_of_contacts_is_ordered_and_there_once(ada, grace):
    low, high = sorted([ada, grace], key=lambda user: user.pk)
    Contact.objects.create(low=low, high=high)
    with pytest.raises(IntegrityError):
        Contact.objects.create(low=low, high=high)
    with pytest.raises(IntegrityError):
        Contact.objects.create(low=high, high=low)


def test_a_stale_profile_never_overwrites_the_bookkeeping(ada):
    stale = UserProfile.objects.get(user=ada)
    moment = timezone.now()
    UserProfile.objects.update(version=7, last_seen=moment, offline_after=moment)
    stale.save()
    fresh = UserProfile.objects.get(user=ada)
    assert (fresh.version, fresh.last_seen, fresh.offline_after) == (7, moment, moment)


def test_everything_has_a_name_for_the_admin(ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="x" * 60)
    Contact.objects.get()
    assert str(message) == "ada to grace: " + "x" * 50
    assert str(Notification.objects.get()) == "New message from ada (for grace)"
    assert str(ada.inbox) == "Inbox of ada"
    assert str(ada.profile) == "ada (offline)"
    assert str(Contact.objects.get()) == "ada and grace"


def test_deleting_a_user_takes_everything_along(ada, grace):
    Message.objects.create(sender=ada, receiver=grace, content="1")
    Message.objects.create(sender=grace, receiver=ada, content="2")
    ada.delete()
    assert not Message.objects.exists()
    assert not Contact.objects.exists()
    assert list(UserProfile.objects.all()) == [grace.profile]
    assert list(Inbox.objects.all()) == [grace.inbox]
    [row] = Notification.everything.all()
    assert (row.user, row.actor, row.message) == (grace, None, None)


# --- What a page may link to ---------------------------------------------------------------------------------------

UNSAFE_URLS = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "/\\evil",
    " /x",
    "",
]


@pytest.mark.parametrize("url", UNSAFE_URLS)
def test_an_unsafe_url_is_refused_at_every_way_into_the_table(ada, url):
    row = Notification.objects.create(user=ada, notification_type="announcement", title="Safe", url="/safe/")
    new = {"user": ada, "notification_type": "announcement", "title": "Unsafe", "url": url}
    row.url = url

    def get_or_create():
        Notification.objects.get_or_create(title="Unsafe", defaults=new)

    for way in (
        lambda: Notification.objects.create(**new),
        lambda: Notification.objects.bulk_create([Notification(**new)]),
        get_or_create,
        lambda: Notification.objects.filter(pk=row.pk).update(url=url),
        lambda: Notification.objects.bulk_update([row], ["url"]),
        row.save,
    ):
        with pytest.raises(InvalidNotification):
            way()
    assert [(known.title, known.url) for known in Notification.everything.all()] == [("Safe", "/safe/")]


@pytest.mark.parametrize("level", ["danger", "", None, "INFO", 5])
def test_a_level_that_no_client_knows_is_refused(ada, level):
    row = Notification.objects.create(
        user=ada, notification_type="announcement", title="Fine", level="warning"
    )
    with pytest.raises(InvalidNotification, match="info, success, warning or error"):
        Notification.objects.create(user=ada, notification_type="announcement", title="Bad", level=level)
    with pytest.raises(InvalidNotification):
        Notification.objects.filter(pk=row.pk).update(level=level)
    assert [(known.title, known.level) for known in Notification.everything.all()] == [("Fine", "warning")]


@pytest.mark.parametrize(
    "url", [None, "/news/1/", "?page=2", "#top", "https://example.org/x", "HTTP://example.org"]
)
def test_a_safe_url_is_stored_as_it_is(ada, url):
    row = Notification.objects.create(user=ada, notification_type="announcement", title="Safe", url=url)
    Notification.objects.filter(pk=row.pk).update(url=url)
    assert Notification.objects.get().url == url


def test_a_url_may_be_an_expression(ada):
    row = Notification.objects.create(user=ada, notification_type="announcement", title="Safe", url="/safe/")
    Notification.objects.filter(pk=row.pk).update(url=Value(None))
    assert Notification.objects.get().url is None
