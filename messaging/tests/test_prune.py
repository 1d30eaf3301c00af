"""manage.py prune_notifications: old notifications are removed from every device, and expired tombstones deleted."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from messaging import inboxes, pruning
from messaging.management.commands import prune_notifications
from messaging.models import Inbox, Notification
from messaging.notifications import mark_read, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read

pytestmark = pytest.mark.django_db(transaction=True)


def prune(*arguments):
    out = io.StringIO()
    call_command("prune_notifications", *arguments, stdout=out)
    return out.getvalue()


def age(days, **changes):
    """Backdate rows, bypassing every writer."""
    values = {name: Now() - timedelta(days=days, hours=1) for name in changes.pop("fields", ["created_at"])}
    QuerySet.update(Notification.everything.filter(**changes), **values)


@pytest.fixture
def tombstone(ada, assigned):
    """A notification that was removed 30 days ago, with another one before it and one after."""
    rows = []
    for title in ("Before", "Removed", "After"):
        rows.append(notify(ada, "announcement", title))
        assigned(ada)
    remove(ada, [rows[1].pk])
    assigned(ada)
    age(30, pk=rows[1].pk, fields=["removed_at"])
    return rows[1]


# --- Tombstones now ------------------------------------------------------------------------------------------------


def test_old_notifications_are_removed_with_a_revision_for_each_user(ada, grace, assigned, announced):
    old = notify_many([ada, ada, grace], "announcement", "Old")
    age(30)
    notify(ada, "announcement", "New")
    replica = DomainReplica(ada.pk)
    replica.apply_revision(*assigned(ada))
    assigned(grace)
    announced.clear()
    assert prune("--days", "30") == "3 notifications removed, 0 permanently deleted.\n"
    assert [row.title for row in Notification.objects.all()] == ["New"]
    [sent] = [carried["revisions"] for name, carried in announced if name == "revisions_assigned"]
    assert sorted((each.user_id, each.unread_count, each.removed) for each in sent) == [
        (ada.pk, 1, [old[0].pk, old[1].pk]),
        (grace.pk, 0, [old[2].pk]),
    ]
    replica.apply_revision(sent[0])
    assert replica == fresh_read(ada.pk)
    for user in (ada, grace):
        check_counts(user.pk)


def test_what_is_younger_stays(ada):
    notify(ada, "announcement", "New")
    age(29)
    assert prune("--days", "30").startswith("0 notifications removed")
    assert Notification.objects.count() == 1


def test_ephemeral_notifications_are_pruned_after_a_day(ada):
    for name in ("user_online", "user_offline", "announcement"):
        notify(ada, name, "Hello")
    age(1)
    notify(ada, "user_online", "Just now")
    prune("--days", "30")
    assert {row.title for row in Notification.objects.exclude(notification_type="announcement")} == {
        "Just now"
    }
    assert Notification.objects.filter(notification_type="announcement").exists()


def test_it_goes_batch_by_batch_and_says_how_far_it_is(ada, grace, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 2)
    monkeypatch.setattr(prune_notifications, "PROGRESS_SECONDS", 0)
    notify_many([ada, grace, ada, ada, grace], "announcement", "Old")
    age(30)
    assert prune("--days", "30").splitlines() == [
        "2 removed so far",
        "4 removed so far",
        "5 removed so far",
        "5 notifications removed, 0 permanently deleted.",
    ]
    check_counts(ada.pk)
    check_counts(grace.pk)


def test_what_a_stopped_run_has_done_has_its_revisions(ada, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 2)
    notify_many([ada] * 5, "announcement", "Old")
    age(30)
    batches = pruning.remove_outdated(timedelta(days=30))
    assert next(batches) == 2
    del batches
    assert Notification.objects.count() == 3
    check_counts(ada.pk)


def test_ctrl_c_prints_how_far_it_came(ada, monkeypatch):
    def interrupted(age):
        yield 500
        raise KeyboardInterrupt

    monkeypatch.setattr(pruning, "remove_outdated", interrupted)
    with pytest.raises(CommandError, match=r"Stopped: 500 removed\.") as stopped:
        prune("--days", "30")
    assert stopped.value.returncode == 130


def test_a_batch_takes_as_many_queries_for_1_row_as_for_100(ada, grace):
    def queries(count):
        notify_many([ada, grace] * count, "announcement", "Old")
        age(30)
        with CaptureQueriesContext(connection) as captured:
            assert next(pruning.remove_outdated(timedelta(days=30))) == 2 * count
        return len(captured)

    assert queries(1) == queries(50) < 15


# --- Deletion later --------------------------------------------------------------------------------------------------


def test_a_tombstone_is_deleted_after_30_days_and_the_floor_rises_to_its_revision(ada, tombstone):
    assert prune("--days", "3000") == "0 notifications removed, 1 permanently deleted.\n"
    assert not Notification.everything.filter(pk=tombstone.pk).exists()
    inbox = Inbox.objects.get(user=ada)
    assert (inbox.floor, inbox.revision) == (4, 4)
    check_counts(ada.pk)
    call_command("check_inboxes", stdout=io.StringIO())


def test_a_client_with_the_revision_of_the_removal_can_still_catch_up(ada, tombstone, assigned):
    """The floor is the tombstone's revision, not the inbox's: an absence of days must not cost a full reload."""
    notify(ada, "announcement", "Later")
    client = fresh_read(ada.pk)
    client.revision, client.unread_count = 4, 2
    assigned(ada)
    prune("--days", "3000")
    missed = inboxes.missed({ada.pk: 4})[ada.pk]
    assert (missed.floor, missed.revision) == (4, 5)
    client.catch_up()
    assert client == fresh_read(ada.pk)


def test_a_younger_tombstone_stays(ada, tombstone):
    age(29, pk=tombstone.pk, fields=["removed_at"])
    assert prune("--days", "3000").endswith("0 permanently deleted.\n")
    assert Inbox.objects.get(user=ada).floor == 0


def test_what_was_removed_just_now_is_not_deleted_however_old_it_is(ada, assigned):
    notify(ada, "announcement", "Old")
    assigned(ada)
    age(300)
    assert prune("--days", "30") == "1 notifications removed, 0 permanently deleted.\n"
    assert Notification.everything.count() == 1


def test_a_removal_without_a_revision_is_no_tombstone_yet(ada, tombstone, assigned):
    Notification.everything.filter(pk=tombstone.pk).mark_pending()
    assert prune("--days", "3000").endswith("0 permanently deleted.\n")
    assigned(ada)
    assert prune("--days", "3000").endswith("1 permanently deleted.\n")
    assert Inbox.objects.get(user=ada).floor == 5


def test_the_floor_never_falls_and_others_inboxes_keep_theirs(ada, grace, tombstone, assigned):
    Inbox.objects.filter(user=ada).update(floor=4)
    notify(grace, "announcement", "Hello")
    assigned(grace)
    prune("--days", "3000")
    assert Inbox.objects.get(user=ada).floor == 4
    assert Inbox.objects.get(user=grace).floor == 0


def test_many_tombstones_of_many_users_go_batch_by_batch(ada, grace, assigned, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 3)
    for user in (ada, grace):
        rows = notify_many([user] * 4, "announcement", "Old")
        assigned(user)
        mark_read(user)
        assigned(user)
        remove(user, [row.pk for row in rows])
        assigned(user)
    age(31, fields=["removed_at"])
    assert list(pruning.delete_expired_tombstones()) == [3, 3, 2]
    assert not Notification.everything.exists()
    assert set(Inbox.objects.values_list("floor", flat=True)) == {3}


# --- Asking ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_changes_nothing(ada, tombstone, announced):
    age(30)
    announced.clear()
    before = list(Notification.everything.values()), list(Inbox.objects.values())
    printed = prune("--days", "30", "--dry-run")
    assert printed == "2 notifications would be removed, 1 permanently deleted.\n"
    assert (list(Notification.everything.values()), list(Inbox.objects.values())) == before
    assert announced == []


@pytest.mark.parametrize("days", ["0", "-1", "1000000000000"])
def test_days_that_make_no_sense_are_refused(days):
    with pytest.raises(CommandError, match="must be from 1 to") as refused:
        prune("--days", days)
    assert refused.value.returncode == 1


def test_days_must_be_given():
    with pytest.raises(CommandError, match="--days"):
        prune()


def test_a_type_that_is_declared_no_more_is_pruned_too(ada):
    for name in ("of_yore", "", "zzz"):
        Notification.objects.create(user=ada, notification_type=name, title="Old")
    notify(ada, "announcement", "Old")
    age(30)
    Notification.objects.create(user=ada, notification_type="of_yore", title="New")
    assert prune("--days", "30", "--dry-run").startswith("4 notifications would be removed")
    assert prune("--days", "30").startswith("4 notifications removed")
    assert [row.title for row in Notification.objects.all()] == ["New"]
