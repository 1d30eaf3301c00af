"""Every change of a notification, by whatever way it is made, is pending and announced."""

import pytest
from django.db import transaction
from django.db.models.functions import Now

from messaging.models import Inbox, Message, Notification
from messaging.notifications import mark_read, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.rows import pending, raw_insert
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows, row: rows.update(is_read=True), id="QuerySet.update"),
        pytest.param(lambda rows, row: rows.delete(), id="QuerySet.delete"),
        pytest.param(lambda rows, row: row.delete(), id="delete"),
        pytest.param(lambda rows, row: (setattr(row, "is_read", True), row.save()), id="save"),
        pytest.param(
            lambda rows, row: (setattr(row, "is_read", True), row.save(update_fields=["is_read"])),
            id="save with update_fields",
        ),
        pytest.param(
            lambda rows, row: (
                setattr(row, "is_read", True),
                Notification.objects.bulk_update([row], ["is_read"]),
            ),
            id="bulk_update",
        ),
        pytest.param(
            lambda rows, row: Notification.objects.update_or_create(pk=row.pk, defaults={"is_read": True}),
            id="update_or_create",
        ),
        pytest.param(lambda rows, row: row.user.notifications.update(is_read=True), id="related update"),
        pytest.param(lambda rows, row: row.user.notifications.all().delete(), id="related delete"),
        pytest.param(
            lambda rows, row: Notification.objects.bulk_create(
                [
                    Notification(
                        pk=row.pk, user=row.user, notification_type="announcement", title="x", is_read=True
                    )
                ],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=["is_read"],
            ),
            id="upsert",
        ),
    ],
)
def test_whatever_changes_a_notification_it_is_pending_announced_and_gets_a_revision(
    ada, assigned, announced, change
):
    row = notify(ada, "announcement", "Hello")
    assigned(ada)
    announced.clear()
    change(Notification.objects.filter(pk=row.pk), Notification.objects.get(pk=row.pk))
    assert pending(ada) == [row.pk]
    assert announced
    assert all(event == ("notifications_pending", {"user_ids": {ada.pk}}) for event in announced)
    [revision] = assigned(ada)
    assert revision.unread_count == 0
    assert revision.read + revision.removed == [row.pk]
    assert revision.added == revision.unread == []
    check_counts(ada.pk)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda user: notify(user, "announcement", "Hello"), id="notify"),
        pytest.param(
            lambda user: Notification.objects.create(
                user=user, notification_type="announcement", title="Hello"
            ),
            id="objects.create",
        ),
        pytest.param(
            lambda user: user.notifications.create(notification_type="announcement", title="Hello"),
            id="related create",
        ),
        pytest.param(
            lambda user: Notification(user=user, notification_type="announcement", title="Hello").save(),
            id="save",
        ),
        pytest.param(
            lambda user: Notification.objects.bulk_create(
                [Notification(user=user, notification_type="announcement", title="Hello")]
            ),
            id="bulk_create",
        ),
        pytest.param(raw_insert, id="raw SQL"),
    ],
)
def test_however_a_notification_is_created_it_is_pending_and_gets_a_revision(ada, assigned, make):
    make(ada)
    row = Notification.objects.get()
    assert pending(ada) == [row.pk]
    [revision] = assigned(ada)
    assert [shape.id for shape in revision.added] == [row.pk]
    assert revision.unread_count == 1
    check_counts(ada.pk)


@pytest.mark.parametrize("how", ["save", "bulk_create"])
def test_a_copy_of_a_notification_with_a_revision_is_new(ada, assigned, how):
    notify(ada, "announcement", "Hello")
    assigned(ada)
    copy = Notification.objects.get()
    copy.pk = None
    copy._state.adding = True
    if how == "save":
        copy.save()
    else:
        Notification.objects.bulk_create([copy])
    assert pending(ada) == [copy.pk]
    [revision] = assigned(ada)
    assert [shape.id for shape in revision.added] == [copy.pk]
    assert revision.unread_count == 2
    check_counts(ada.pk)


def test_a_stale_instance_never_overwrites_the_bookkeeping(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    stale = Notification.objects.get(pk=row.pk)
    assert (stale.revision, stale.counted) == (None, False)
    assigned(ada)
    stale.title = "Hello again"
    stale.save()
    fresh = Notification.objects.get(pk=row.pk)
    assert (fresh.title, fresh.revision, fresh.counted) == ("Hello again", 1, True)
    assert fresh.created_at == row.created_at
    assigned(ada)
    check_counts(ada.pk)


def test_a_stale_instance_does_not_bring_a_removed_notification_back(ada, assigned):
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    stale = Notification.objects.get(pk=row.pk)
    remove(ada, [row.pk])
    replica.apply_revision(*assigned(ada))
    stale.save()
    for revision in assigned(ada):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk)
    assert replica.read_marks == {}


def test_removing_an_actor_or_a_message_makes_nothing_pending(ada, grace, assigned):
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    assigned(ada)
    message.delete()
    grace.delete()
    row = Notification.objects.get(user=ada)
    assert (row.actor, row.message) == (None, None)
    assert pending(ada) == []
    assert assigned(ada) == []


def test_a_user_takes_the_inbox_along(ada, grace, assigned):
    notify_many([ada, grace], "announcement", "Hello")
    remove(ada, [Notification.objects.get(user=ada).pk])
    ada.delete()
    assert list(Notification.everything.values_list("user_id", flat=True)) == [grace.pk]
    assert list(Inbox.objects.values_list("user_id", flat=True)) == [grace.pk]


def test_a_rolled_back_change_gets_no_revision(ada, assigned, announced):
    row = notify(ada, "announcement", "Hello")
    assigned(ada)
    announced.clear()
    with pytest.raises(Undo), transaction.atomic():
        notify(ada, "announcement", "Never")
        mark_read(ada, [row.pk])
        raise Undo
    assert announced == []
    assert assigned(ada) == []
    assert fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 1, {row.pk: False})


def test_a_row_waits_since_the_databases_time(ada):
    row = notify(ada, "announcement", "Hello")
    assert Notification.objects.filter(pk=row.pk, pending_since__lte=Now()).exists()
