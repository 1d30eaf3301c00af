from datetime import UTC, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from messaging import inboxes, notifications
from messaging.inboxes import Position
from messaging.models import Inbox, Notification
from messaging.notifications import assign_revisions, mark_read, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, fresh_read

pytestmark = pytest.mark.django_db(transaction=True)


def missed(user, since):
    return inboxes.missed({user.pk: since})[user.pk]


def make_old(seconds):
    """Backdate pending rows by this much."""
    rows = Notification.everything.filter(pending_since__isnull=False)
    super(type(rows), rows).update(pending_since=Now() - timedelta(seconds=seconds))


def test_the_state_has_everything_committed_before_in_it(ada):
    notify(ada, "announcement", "Hello")
    inbox = inboxes.state(ada.pk)
    assert (inbox.revision, inbox.unread_count, inbox.floor) == (1, 1, 0)


def test_the_state_of_a_user_older_than_the_installation_is_made():
    [user] = User.objects.bulk_create([User(username="old")])
    assert inboxes.state(user.pk).revision == 0


def test_the_state_is_one_query_where_nothing_is_pending(ada, django_assert_num_queries):
    notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    with django_assert_num_queries(1):
        assert inboxes.state(ada.pk).unread_count == 1


def test_the_state_is_not_read_in_a_transaction_even_where_nothing_is_pending(ada):
    """Its snapshot may be from before the call: an older state would be returned."""
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        inboxes.state(ada.pk)


def test_those_with_pending_rows_or_without_an_inbox_are_incomplete(ada, grace):
    assign_revisions([ada.pk, grace.pk])
    [old] = User.objects.bulk_create([User(username="old")])
    with transaction.atomic():
        notify(ada, "announcement", "Hello")
    everybody = [ada.pk, grace.pk, old.pk]
    assert inboxes.incomplete(everybody) == {ada.pk, old.pk}
    assign_revisions(everybody)
    assert inboxes.incomplete(everybody) == set()


def test_the_state_of_an_unknown_user_is_an_error(db):
    with pytest.raises(Inbox.DoesNotExist):
        inboxes.state(2**31 - 1)


def test_positions_are_read_for_many(ada, grace, linus):
    notify_many([ada, grace], "announcement", "Hello")
    assign_revisions([ada.pk, grace.pk])
    notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    found = inboxes.positions([ada.pk, grace.pk, linus.pk, 2**31 - 1])
    epochs = dict(Inbox.objects.values_list("user_id", "epoch"))
    assert found == {user.pk: Position(n, epochs[user.pk]) for user, n in ((ada, 2), (grace, 1), (linus, 0))}
    assert inboxes.positions([]) == {}


@pytest.mark.parametrize("change", ["mark_read", "remove", "mark_unread"])
def test_missed_rows_are_as_of_the_revision_and_later_changes_come_with_the_next(ada, change):
    """Otherwise the count of a frame in between, which carries other rows' changes, would not match the rows."""
    unread, read = [notify(ada, "announcement", f"Number {number}").pk for number in range(2)]
    assign_revisions([ada.pk])
    notifications.mark_read(ada, [read])
    assign_revisions([ada.pk])
    getattr(notifications, change)(ada, [unread, read])
    found = missed(ada, 0)
    states = {row.id: row.notification and row.notification.is_read for row in found.rows}
    assert states == {unread: False, read: True}
    assert found.unread_count == 1
    assign_revisions([ada.pk])
    found = missed(ada, 0)
    after = {"mark_read": True, "remove": None, "mark_unread": False}[change]
    assert {row.id: row.notification and row.notification.is_read for row in found.rows} == {
        unread: after,
        read: after,
    }
    assert found.unread_count == {"mark_read": 0, "remove": 0, "mark_unread": 2}[change]


# --- What waits ------------------------------------------------------------------------------------------------


def test_users_with_overdue_pending_rows_are_found(ada, grace):
    assert inboxes.pending_users(older_than=timedelta(seconds=2)) == []
    notify_many([ada, ada], "announcement", "Hello")
    make_old(3)
    notify(grace, "announcement", "Hello")
    assert inboxes.pending_users(older_than=timedelta(seconds=2)) == [ada.pk]
    assert sorted(inboxes.pending_users(older_than=timedelta(0))) == sorted([ada.pk, grace.pk])


def test_a_pending_removal_is_found_too(ada):
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    remove(ada, [row.pk])
    make_old(3)
    assert inboxes.pending_users(older_than=timedelta(seconds=2)) == [ada.pk]


def test_a_row_with_a_revision_is_no_longer_pending(ada):
    notify(ada, "announcement", "Hello")
    make_old(3)
    assign_revisions([ada.pk])
    assert inboxes.pending_users(older_than=timedelta(0)) == []


def test_no_more_users_than_the_limit_are_found(ada, grace, linus):
    notify_many([ada, grace, linus], "announcement", "Hello")
    make_old(3)
    assert len(inboxes.pending_users(older_than=timedelta(seconds=2), limit=2)) == 2


# --- What was missed -----------------------------------------------------------------------------------------------


def test_what_was_missed_is_each_changed_row_once_in_its_present_state(ada):
    first, second, third = (notify(ada, "announcement", str(number)) for number in range(3))
    assign_revisions([ada.pk])
    mark_read(ada, [first.pk])
    assign_revisions([ada.pk])
    remove(ada, [second.pk])
    fourth = notify(ada, "announcement", "4")
    assign_revisions([ada.pk])
    answer = missed(ada, 1)
    assert (answer.revision, answer.unread_count, answer.floor) == (3, 2, 0)
    assert answer.epoch == ada.inbox.epoch
    assert [(row.id, row.revision, row.notification and row.notification.is_read) for row in answer.rows] == [
        (first.pk, 2, True),
        (second.pk, 3, None),
        (fourth.pk, 3, False),
    ]
    assert [row.id for row in missed(ada, 0).rows] == [third.pk, first.pk, second.pk, fourth.pk]
    assert missed(ada, 3).rows == []


def test_a_missed_row_has_the_same_shape_as_a_live_one(ada, grace):
    notify(ada, "announcement", "Hello", "World", level="error", url="/x/", actor=grace)
    [revision] = assign_revisions([ada.pk])
    [row] = missed(ada, 0).rows
    assert row.notification == revision.added[0]
    assert row.notification.created_at.tzinfo is UTC
    assert row.notification.actor.model_dump() == {"id": grace.pk, "username": "grace"}


def test_a_revision_of_minus_one_reads_the_inbox_alone(ada):
    notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    answer = missed(ada, -1)
    assert (answer.revision, answer.unread_count, answer.rows) == (1, 1, [])


def test_a_revision_above_the_inboxs_misses_nothing(ada):
    notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    for since in (2, 2**31, 2**62):
        answer = missed(ada, since)
        assert (answer.revision, answer.rows) == (1, [])


def test_rows_that_wait_for_their_first_revision_are_left_out(ada):
    notify(ada, "announcement", "Hello")
    answer = missed(ada, 0)
    assert (answer.revision, answer.unread_count, answer.rows) == (0, 0, [])


def test_each_user_has_a_revision_and_rows_of_their_own(ada, grace, linus):
    for _ in range(3):
        notify_many([ada, grace, linus], "announcement", "Hello")
        assign_revisions([ada.pk, grace.pk, linus.pk])
    answers = inboxes.missed({linus.pk: 3, ada.pk: 0, grace.pk: 2, 2**31 - 1: 0})
    assert {pk: [row.revision for row in answer.rows] for pk, answer in answers.items()} == {
        ada.pk: [1, 2, 3],
        grace.pk: [3],
        linus.pk: [],
    }
    owners = dict(Notification.objects.values_list("id", "user_id"))
    for pk, answer in answers.items():
        assert {owners[row.id] for row in answer.rows} <= {pk}


def test_without_users_there_is_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert inboxes.missed({}) == {}


def test_a_user_with_no_inbox_is_left_out(db):
    [user] = User.objects.bulk_create([User(username="old")])
    assert inboxes.missed({user.pk: 0}) == {}


@pytest.mark.parametrize(("rows", "too_many"), [(1_000, False), (1_001, True), (1_500, True)])
def test_more_than_1000_rows_are_too_many(ada, rows, too_many):
    notify_many([ada] * rows, "announcement", "Hello")
    assign_revisions([ada.pk])
    answer = missed(ada, 0)
    assert answer.too_many is too_many
    assert len(answer.rows) == min(rows, 1_001)
    assert answer.unread_count == rows


def test_those_are_read_that_changed_first(ada):
    """Up to 1,000 of them: a replay can continue from the last one's revision."""
    first = notify(ada, "announcement", "Hello")
    notify_many([ada] * 1_199, "announcement", "Hello")
    assign_revisions([ada.pk])
    mark_read(ada, [first.pk])
    assign_revisions([ada.pk])
    rows = missed(ada, 0).rows
    assert [row.revision for row in rows] == [1] * 99 + [1 + number // 100 for number in range(100, 1_002)]
    assert first.pk not in {row.id for row in rows}


def test_missed_is_one_statement_for_any_number_of_users(db):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(200))
    notify_many(users, "announcement", "Hello")
    assign_revisions([user.pk for user in users])
    with CaptureQueriesContext(connection) as captured:
        answers = inboxes.missed({user.pk: 0 for user in users})
    assert len(captured) == 1
    assert len(answers) == 200
    assert all(len(answer.rows) == 1 for answer in answers.values())


def test_missed_reads_no_rows_of_other_users(ada):
    """Its cost must not grow with the table: no scan of all notifications."""
    # Many, so that by the statistics one user has a small part of the rows.
    others = User.objects.bulk_create(User(username=f"other{number}") for number in range(100))
    notify_many([ada] * 3 + others * 20, "announcement", "Hello")
    assign_revisions([ada.pk, *(user.pk for user in others)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as captured:
        missed(ada, 0)
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {captured[0]['sql']}")
        plan = "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())
    assert "Seq Scan on messaging_notification" not in plan, plan
    assert "SCAN n\n" not in plan + "\n", plan
    assert "SCAN messaging_notification" not in plan, plan


def test_a_row_that_changes_again_while_pending_is_not_overlooked(ada):
    """Read while its second change is pending: it is as of its revision, and comes again with the next one."""
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    replica = DomainReplica(ada.pk)
    mark_read(ada, [row.pk])
    replica.catch_up()
    assert (replica.revision, replica.read_marks) == (1, {row.pk: False})
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk)


def test_a_deleted_tombstone_is_a_matter_of_the_floor(ada):
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    remove(ada, [row.pk])
    assign_revisions([ada.pk])
    Notification.everything.all()._raw_delete("default")
    Inbox.objects.update(floor=F("revision"))
    answer = missed(ada, 1)
    assert (answer.revision, answer.floor, answer.rows) == (2, 2, [])
