"""Groups of notifications: what collapses into what, and what each client is sent of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from conftest import size
from messaging import grouping, inboxes, notification_types, pruning
from messaging.broadcasting import broadcast
from messaging.models import Inbox, Notification
from messaging.notification_types import NotificationType
from messaging.notifications import mark_read, mark_unread, notify, notify_many, remove
from messaging.sequencing import assign_step
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.grouped import COMMENT, comment, comments, declare, rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    declare(monkeypatch)


def ids(user):
    return list(Notification.objects.filter(user=user).values_list("pk", flat=True))


def test_a_first_one_is_as_any_other(ada, assigned):
    row = comment(ada)
    (revision,) = assigned(ada)
    (shape,) = revision.added
    assert (shape.id, shape.title, shape.group, shape.count) == (row.pk, "Ada commented", "page:home", 1)
    assert revision.unread_count == 1


def test_a_second_one_stands_for_both_and_the_first_leaves_by_the_same_revision(ada, assigned):
    first = comment(ada, "Ada commented")
    assigned(ada)
    second = comment(ada, "Grace commented")
    (revision,) = assigned(ada)
    (shape,) = revision.added
    assert (shape.id, shape.title, shape.count) == (second.pk, "2 comments", 2)
    assert (revision.revision, revision.removed, revision.unread_count) == (2, [first.pk], 1)
    assert rows(ada) == [("2 comments", 2, False)]
    left = Notification.everything.get(pk=first.pk)
    assert (left.collapsed_into_id, left.revision, left.title) == (second.pk, 2, "Ada commented")
    check_counts(ada.pk)


def test_what_was_never_announced_leaves_no_trace(ada, assigned):
    made = comments(ada, 3)
    (revision,) = assigned(ada)
    assert [(shape.id, shape.count) for shape in revision.added] == [(made[-1].pk, 3)]
    assert revision.removed == []
    replica = DomainReplica(ada.pk)
    assert replica.catch_up() == [made[-1].pk]
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


def test_revisions_have_no_gaps_where_a_whole_one_leaves(ada, assigned):
    replica = DomainReplica(ada.pk)
    notify_many([ada.pk] * 30, "announcement", "Hello")
    made = comments(ada, 420)
    notify_many([ada.pk] * 120, "announcement", "Hello")
    revisions = assigned(ada)
    for revision in revisions:
        assert len(revision.added) + len(revision.removed) <= 100
        replica.apply_revision(revision)
    assert Inbox.objects.get(user=ada).revision == len(revisions)
    assert replica == fresh_read(ada.pk)
    assert replica.unread_count == 151
    assert Notification.objects.get(group_count__gt=1).group_count == 420
    check_counts(ada.pk)
    assert made[0].pk in Notification.everything.filter(revision=grouping.UNANNOUNCED).values_list(
        "pk", flat=True
    )


def test_renumbered_revisions_keep_within_their_bytes(ada, assigned):
    """Rows before and after a group that collapses are as heavy as data may make them."""
    first = comment(ada)
    assigned(ada)
    heavy = {"text": "x" * 4_000}
    notify_many([ada.pk] * 100, "announcement", "Hello", data=heavy)
    comments(ada, 200)
    notify_many([ada.pk] * 100, "announcement", "Hello", data=heavy)
    replica = DomainReplica(ada.pk, 1, 1, {first.pk: False}, complete=True)
    revisions = assigned(ada)
    for revision in revisions:
        assert sum(len(shape.model_dump_json()) for shape in revision.added) < 512 * 1024
        replica.apply_revision(revision)
    assert [one.revision for one in revisions] == list(range(2, 2 + len(revisions)))
    assert (replica.unread_count, len(revisions) > 2) == (201, True)
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


# --- What belongs together -------------------------------------------------------------------------------------------


def aged(row, **age):
    """Have a row created earlier."""
    moment = timezone.now() - timedelta(**age)
    Notification.everything.filter(pk=row.pk).mark_pending(created_at=moment)
    return row


def test_each_group_user_and_type_stands_for_itself(ada, grace, monkeypatch, assigned):
    other = NotificationType(name="like", label="Like", group_by="page:%(page)s")
    declare(monkeypatch, COMMENT, other)
    comment(ada, "1", page="home")
    comment(ada, "2", page="news")
    notify(ada, "like", "3", data={"page": "home"})
    comment(grace, "4", page="home")
    notify(ada, "announcement", "5")
    assigned(ada), assigned(grace)
    assert [title for title, _, _ in rows(ada)] == ["5", "3", "2", "1"]
    assert rows(grace) == [("4", 1, False)]
    comment(ada, "6", page="news")
    assigned(ada)
    assert [title for title, _, _ in rows(ada)] == ["2 comments", "5", "3", "1"]


def test_a_group_ends_where_its_time_is_over(ada, assigned):
    aged(comment(ada, "old"), hours=25)
    assigned(ada)
    comment(ada, "new")
    assigned(ada)
    assert rows(ada) == [("new", 1, False), ("old", 1, False)]


@pytest.mark.parametrize("at_once", [True, False])
def test_each_one_prolongs_it_whether_they_are_numbered_together_or_not(ada, assigned, at_once):
    for hours in (60, 40, 20, 0):
        aged(comment(ada, str(hours)), hours=hours + 1 if hours == 60 else hours)
        if not at_once:
            assigned(ada)
    assigned(ada)
    assert [count for _, count, _ in rows(ada)] == [4]
    aged(comment(ada, "earlier"), hours=100)
    assigned(ada)
    assert [count for _, count, _ in rows(ada)] == [1, 4]


def test_without_a_time_it_has_no_end(ada, monkeypatch, assigned):
    declare(monkeypatch, replace(COMMENT, group_within=None))
    aged(comment(ada, "old"), days=400)
    assigned(ada)
    comment(ada, "new")
    assigned(ada)
    assert [count for _, count, _ in rows(ada)] == [2]


def test_a_read_one_does_not_join(ada, assigned):
    first = comment(ada, "read")
    assigned(ada)
    mark_read(ada, [first.pk])
    comment(ada, "new")
    (revision,) = assigned(ada)
    assert (revision.removed, revision.read, revision.unread_count) == ([], [first.pk], 1)
    assert rows(ada) == [("new", 1, False), ("read", 1, True)]


def test_one_that_is_read_before_its_first_revision_does_not_join(ada, assigned):
    first, second = comments(ada, 2)
    mark_read(ada, [second.pk])
    (revision,) = assigned(ada)
    assert [(shape.id, shape.is_read, shape.count) for shape in revision.added] == [
        (first.pk, False, 1),
        (second.pk, True, 1),
    ]
    check_counts(ada.pk)


def test_a_removed_one_does_not_join_and_with_the_group_all_of_it_is_gone(ada, assigned):
    comments(ada, 3)
    assigned(ada)
    remove(ada, ids(ada))
    comment(ada, "new")
    (revision,) = assigned(ada)
    assert len(revision.removed) == 1
    assert (rows(ada), revision.unread_count) == ([("new", 1, False)], 1)
    check_counts(ada.pk)


def test_marking_a_group_leaves_its_members_alone(ada, assigned):
    made = comments(ada, 3)
    assigned(ada)
    for mark, count in ((mark_read, 0), (mark_unread, 1)):
        assert mark(ada, [row.pk for row in made]) == [made[-1].pk]
        (revision,) = assigned(ada)
        assert (revision.unread_count, revision.removed) == (count, [])
    check_counts(ada.pk)
    comment(ada)
    assigned(ada)
    assert rows(ada) == [("4 comments", 4, False)]


def test_marked_unread_again_it_waits_for_a_new_one(ada, assigned):
    read = comment(ada, "read")
    assigned(ada)
    mark_read(ada, [read.pk])
    comment(ada, "unread")
    assigned(ada)
    mark_unread(ada, [read.pk])
    (revision,) = assigned(ada)
    assert (revision.added, revision.removed, revision.unread_count) == ([], [], 2)
    comment(ada, "new")
    (revision,) = assigned(ada)
    assert rows(ada) == [("3 comments", 3, False)]
    assert (len(revision.removed), revision.unread_count) == (2, 1)
    check_counts(ada.pk)


def test_one_that_commits_late_stands_for_those_that_overtook_it(ada, assigned):
    overtook = comment(ada, "overtook")
    assigned(ada)
    Notification(
        pk=-1,
        user=ada,
        notification_type="comment",
        title="late",
        group_key="page:home",
        data={"page": "home"},
    ).save(force_insert=True)
    (revision,) = assigned(ada)
    assert [(shape.id, shape.title) for shape in revision.added] == [(-1, "2 comments")]
    assert revision.removed == [overtook.pk]
    check_counts(ada.pk)


def test_a_type_that_has_no_groups_any_more_is_left_alone(ada, monkeypatch, assigned):
    comment(ada)
    assigned(ada)
    comment(ada)
    declare(monkeypatch, replace(COMMENT, group_by=None))
    assigned(ada)
    monkeypatch.delitem(notification_types._types, "comment")
    Notification.objects.create(user=ada, notification_type="comment", title="x", group_key="page:home")
    assigned(ada)
    assert [count for _, count, _ in rows(ada)] == [1, 1, 1]
    check_counts(ada.pk)


# --- The title ------------------------------------------------------------------------------------------------------


def test_without_a_title_of_its_own_a_group_has_its_newest_ones(ada, monkeypatch, assigned):
    declare(monkeypatch, replace(COMMENT, group_title=None))
    comment(ada, "first")
    comment(ada, "second")
    assigned(ada)
    assert rows(ada) == [("second", 2, False)]


def test_without_its_actor_who_is_gone_a_group_has_the_newest_ones_title(
    ada, grace, monkeypatch, assigned, caplog
):
    declare(monkeypatch, replace(COMMENT, group_title="%(actor)s and others: %(count)d"))
    comment(ada, "first", actor=grace)
    assigned(ada)
    comment(ada, "second", actor=grace)
    assigned(ada)
    assert rows(ada) == [("grace and others: 2", 2, False)]
    comment(ada, "third", actor=grace)
    grace.delete()
    assigned(ada)
    assert rows(ada) == [("third", 3, False)]
    assert caplog.records == []
    check_counts(ada.pk)


def test_a_title_that_fails_is_logged_once_and_holds_nothing_up(ada, monkeypatch, assigned, caplog):
    monkeypatch.setattr(grouping, "_failed", set())

    def fail(*args, **given):
        raise LookupError

    monkeypatch.setattr(NotificationType, "title_of_group", fail)
    for title in ("first", "second", "third"):
        comment(ada, title)
        assigned(ada)
    assert rows(ada) == [("third", 3, False)]
    assert len([record for record in caplog.records if "group_title" in record.message]) == 1
    check_counts(ada.pk)


# --- Ways in --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("numbered")
def test_every_way_of_notifying_leaves_it_to_the_numbering(ada, grace, assigned):
    """Also with the insertion that numbers at once."""
    data = {"page": "home"}
    comment(ada, "notify")
    notify_many([ada, grace], "comment", "notify_many", data=data)
    assert not Notification.objects.presentable().exists()
    assigned(ada)
    assert rows(ada) == [("2 comments", 2, False)]
    broadcast([ada, grace], "comment", "broadcast", data=data, key="b").run()
    assert rows(ada) == [("3 comments", 3, False)]
    assert rows(grace) == [("2 comments", 2, False)]
    notify(ada, "announcement", "at once")
    assert Notification.objects.get(title="at once").revision is not None


def test_a_key_that_is_used_stays_used_after_its_row_has_left(ada, assigned):
    comment(ada, "once", dedupe_key="k")
    comment(ada, "another")
    assigned(ada)
    assert comment(ada, "twice", dedupe_key="k") is None
    assert assigned(ada) == []


@pytest.mark.parametrize("limit", [100, 500])
def test_a_burst_that_takes_several_steps_is_one_row(ada, limit):
    comments(ada, 1_050)
    replica, steps = DomainReplica(ada.pk), 0
    while revisions := assign_step([ada.pk], rows=limit).revisions:
        steps += 1
        for revision in revisions:
            replica.apply_revision(revision)
    assert (steps, replica.revision, replica.unread_count) == (-(-1_050 // limit),) * 2 + (1,)
    assert replica == fresh_read(ada.pk)
    assert rows(ada) == [("1050 comments", 1_050, False)]
    check_counts(ada.pk)


def test_more_older_ones_than_a_revision_takes_leave_by_several(ada, assigned):
    for _ in range(130):
        made = comment(ada)
        assigned(ada)
        mark_read(ada, [made.pk])
    mark_unread(ada, ids(ada))
    replica = DomainReplica(ada.pk)
    assigned(ada)
    replica.catch_up()
    comment(ada, "last")
    revisions = assigned(ada)
    for revision in revisions:
        assert len(revision.added) + len(revision.removed) <= 100
        replica.apply_revision(revision)
    assert (len(revisions), replica.unread_count) == (2, 1)
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


def test_the_rows_of_one_user_are_given_to_another(ada, grace, assigned):
    """As when two accounts are merged: the badges of both are right, and the counts are added."""
    comments(ada, 3)
    comments(grace, 2)
    assigned(ada), assigned(grace)
    before = DomainReplica(ada.pk)
    before.catch_up()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_notification SET user_id = %s WHERE user_id = %s", [grace.pk, ada.pk]
        )
    assigned(ada), assigned(grace)
    assert (rows(ada), rows(grace)) == ([], [("5 comments", 5, False)])
    before.catch_up()
    assert before == fresh_read(ada.pk)
    for user in (ada, grace):
        check_counts(user.pk)


def test_a_removal_that_is_undone_counts_again(ada, assigned):
    first, _ = comments(ada, 2)
    assigned(ada)
    Notification.everything.filter(pk=first.pk).update(removed_at=None)
    assigned(ada)
    assert [count for _, count, _ in rows(ada)] == [3]
    check_counts(ada.pk)


# --- Reading --------------------------------------------------------------------------------------------------------


def test_what_has_no_revision_yet_is_in_no_list_and_in_no_count(ada, as_user, monkeypatch):
    api = as_user(ada)
    comment(ada)
    notify(ada, "announcement", "pending")
    assert inboxes.unread_count(ada.pk) == 1
    monkeypatch.setattr(inboxes, "assign_pending", lambda *args, **kwargs: 0)
    assert [item["title"] for item in api.get("notifications")["items"]] == ["pending"]
    monkeypatch.undo()
    body = api.get("notifications")
    assert (len(body["items"]), body["unread_count"], inboxes.unread_count(ada.pk)) == (2, 2, 2)


def test_a_list_of_one_group(ada, as_user, assigned):
    comments(ada, 2, page="home")
    comments(ada, 2, page="news")
    items = as_user(ada).get("notifications?group=page:home")["items"]
    assert [(item["group"], item["count"]) for item in items] == [("page:home", 2)]


def test_the_members_of_a_group(ada, grace, as_user, assigned):
    api = as_user(ada)
    made = []
    for many in (2, 1, 3):
        made += comments(ada, many)
        assigned(ada)
    alone = comment(ada, "alone", page="news")
    comment(grace)
    assigned(ada)
    call = f"notifications/{made[-1].pk}/members"
    body = api.get(call)
    assert [item["id"] for item in body["items"]] == [row.pk for row in reversed(made)]
    assert [(item["title"], item["count"]) for item in body["items"]] == [
        (row.title, 1) for row in reversed(made)
    ]
    assert body["next"] is None
    page = api.get(f"{call}?limit=4")
    rest = api.get(f"{call}?limit=4&before={page['next']}")
    assert page["items"] + rest["items"] == body["items"]
    (item,) = api.get(f"notifications/{alone.pk}/members")["items"]
    assert (item["id"], item["title"]) == (alone.pk, "alone")


def test_members_of_a_long_chain_are_read_by_pages(ada, as_user, assigned):
    """As they collapse one after the other, each into the next."""
    made = [row.pk for row in comments(ada, size(1_000, full=10_000))]
    assigned(ada)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_notification SET collapsed_into_id = id + 1 WHERE collapsed_into_id IS NOT NULL"
        )
    call = as_user(ada).get
    page = call(f"notifications/{made[-1]}/members?limit=200")
    assert [item["id"] for item in page["items"]] == made[: -200 - 1 : -1]
    last = call(f"notifications/{made[-1]}/members?limit=200&before={made[100]}")
    assert ([item["id"] for item in last["items"]], last["next"]) == (made[99::-1], None)


def test_only_the_owner_is_shown_members_and_only_of_what_is_there(ada, grace, as_user, assigned):
    first, second = comments(ada, 2)
    assigned(ada)
    assert as_user(grace)("GET", f"notifications/{second.pk}/members").status_code == 404
    api = as_user(ada)
    for pk in (first.pk, 0, 2**63, 10**30):
        assert api("GET", f"notifications/{pk}/members").status_code == 404
    assert api("GET", f"notifications/{second.pk}/members?limit=0").status_code == 422
    remove(ada, [second.pk])
    assert api("GET", f"notifications/{second.pk}/members").status_code == 404


def test_members_are_read_when_their_group_is(ada, as_user, assigned):
    _, second = comments(ada, 2)
    assigned(ada)
    mark_read(ada, [second.pk])
    items = as_user(ada).get(f"notifications/{second.pk}/members")["items"]
    assert [item["is_read"] for item in items] == [True, True]


def test_pruned_members_are_left_out(ada, as_user, assigned):
    first, second, third = (comment(ada), assigned(ada), comment(ada), assigned(ada), comment(ada))[::2]
    assigned(ada)
    Notification.everything.filter(pk=first.pk).mark_pending(removed_at=timezone.now() - timedelta(days=31))
    assigned(ada)
    assert sum(pruning.delete_expired_tombstones()) == 1
    items = as_user(ada).get(f"notifications/{third.pk}/members")["items"]
    assert [item["id"] for item in items] == [third.pk, second.pk]
