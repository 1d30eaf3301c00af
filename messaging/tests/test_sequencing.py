import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox, Message, Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.rows import pending

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_notification_is_pending_until_it_gets_its_revision(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    assert pending(ada) == [row.pk]
    [revision] = assigned(ada)
    assert [shape.id for shape in revision.added] == [row.pk]
    assert (revision.revision, revision.unread_count) == (1, 1)
    assert (revision.read, revision.unread, revision.removed) == ([], [], [])
    assert pending(ada) == []
    assert fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 1, {row.pk: False})


def test_a_revision_carries_the_whole_notification(ada, grace, assigned):
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    [revision] = assigned(ada)
    [shape] = revision.added
    row = Notification.objects.get()
    assert shape.model_dump() == {
        "id": row.pk,
        "notification_type": "new_message",
        "title": "New message from grace",
        "description": "Hello!",
        "level": "info",
        "is_read": False,
        "created_at": row.created_at,
        "actor": {"id": grace.pk, "username": "grace"},
        "message_id": message.pk,
        "url": None,
        "data": None,
        "group": None,
        "count": 1,
        "icon": "envelope",
    }
    assert shape.created_at.utcoffset().total_seconds() == 0


def test_with_nothing_pending_no_revision_is_assigned(ada, assigned, announced):
    assert assigned(ada) == []
    notify(ada, "announcement", "Hello")
    assert len(assigned(ada)) == 1
    announced.clear()
    assert assigned(ada) == []
    assert announced == []
    assert Inbox.objects.get(user=ada).revision == 1


def test_each_change_is_listed_as_what_it_is(ada, assigned):
    first, second, third = (notify(ada, "announcement", str(number)) for number in range(3))
    assigned(ada)
    mark_read(ada, [first.pk, second.pk])
    [revision] = assigned(ada)
    assert (revision.read, revision.unread_count) == ([first.pk, second.pk], 1)
    mark_unread(ada, [first.pk])
    remove(ada, [third.pk])
    fourth = notify(ada, "announcement", "4")
    [revision] = assigned(ada)
    assert revision.revision == 3
    assert (revision.unread, revision.removed) == ([first.pk], [third.pk])
    assert [shape.id for shape in revision.added] == [fourth.pk]
    assert revision.unread_count == 2


def test_several_changes_before_a_revision_are_one(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    mark_read(ada, [row.pk])
    [revision] = assigned(ada)
    assert [(shape.id, shape.is_read) for shape in revision.added] == [(row.pk, True)]
    assert (revision.read, revision.unread_count) == ([], 0)


def test_a_notification_removed_before_its_first_revision_is_listed_as_removed_only(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    remove(ada, [row.pk])
    [revision] = assigned(ada)
    assert (revision.added, revision.removed, revision.unread_count) == ([], [row.pk], 0)


def test_assigned_revisions_are_announced_after_commit(ada, announced):
    notify(ada, "announcement", "Hello")
    announced.clear()
    revisions = assign_revisions([ada.pk])
    assert announced == [("revisions_assigned", {"revisions": revisions})]


def test_a_listener_that_fails_does_not_fail_the_assignment(ada, assigned):
    def listener(**kwargs):
        raise RuntimeError("deaf")

    revisions_assigned.connect(listener)
    notify(ada, "announcement", "Hello")
    assert len(assigned(ada)) == 1


def test_assigning_inside_a_transaction_is_refused(ada):
    notify(ada, "announcement", "Hello")
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        assign_revisions([ada.pk])
    assert len(pending(ada)) == 1


def test_more_than_100_rows_get_several_revisions_of_at_most_100(ada, assigned):
    replica = DomainReplica(ada.pk)
    notify_many([ada] * 250, "announcement", "Hello")
    revisions = assigned(ada)
    assert [len(revision.added) for revision in revisions] == [100, 100, 50]
    assert [revision.unread_count for revision in revisions] == [100, 200, 250]
    for revision in revisions:
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


def test_exactly_100_rows_are_one_revision(ada, assigned):
    notify_many([ada] * 100, "announcement", "Hello")
    assert len(assigned(ada)) == 1


def test_more_than_1000_rows_are_numbered_in_several_transactions(ada, grace, assigned):
    replicas = {user.pk: DomainReplica(user.pk) for user in (ada, grace)}
    notify_many([ada, grace] * 650, "announcement", "Hello")
    revisions = assign_revisions([grace.pk, ada.pk])
    for revision in revisions:
        replicas[revision.user_id].apply_revision(revision)
    for pk, replica in replicas.items():
        assert replica.unread_count == 650
        assert replica == fresh_read(pk)
        check_counts(pk)
    # The border at 1,000 rows cuts grace's inbox after 350 of them.
    assert [len(revision.added) for revision in revisions] == [*[100] * 6, 50, *[100] * 3, 50, *[100] * 3]
    assert [revision.revision for revision in revisions] == [*range(1, 8), *range(1, 8)]
    assert assigned(ada) == []


def test_exactly_as_many_rows_as_a_transaction_takes_are_numbered_and_it_ends(ada, monkeypatch):
    monkeypatch.setattr(sequencing, "ROWS_PER_TRANSACTION", 10)
    notify_many([ada] * 10, "announcement", "Hello")
    assert sum(len(revision.added) for revision in assign_revisions([ada.pk])) == 10
    check_counts(ada.pk)


@pytest.fixture
def filled(ada, monkeypatch):
    """As many of ada's rows as a transaction takes follow each time that some got their revisions: up to a bound."""
    monkeypatch.setattr(sequencing, "ROWS_PER_TRANSACTION", 10)
    steps: list[list[int]] = []

    def fill(sender, revisions, **kwargs):
        steps.append([revision.user_id for revision in revisions])
        if len(steps) < 50:
            notify_many([ada] * 10, "announcement", "More")

    revisions_assigned.connect(fill)
    yield steps
    revisions_assigned.disconnect(fill)


@pytest.mark.parametrize("assign", [assign_revisions, sequencing.assign_pending])
def test_what_is_assigned_is_what_was_pending_when_the_call_began(ada, grace, filled, assign):
    """Until nothing is pending may be never. The row at the border of a millisecond may need one step more."""
    notify_many([ada] * 25 + [grace], "announcement", "Hello")
    assign([ada.pk, grace.pk])
    assert len(filled) <= 6
    assert any(grace.pk in step for step in filled)
    assert pending(grace) == []
    assert len(pending(ada)) >= 10


def test_a_step_serves_others_before_a_user_with_a_backlog(ada, grace, linus, filled):
    filled.extend([[0]] * 50)
    everyone = sorted(user.pk for user in (ada, grace, linus))
    notify_many(everyone * 15, "announcement", "Hello")
    step = sequencing.assign_step(everyone)
    first, second, third = everyone
    assert (step.unserved, step.unfinished) == ([second, third], [first])
    step = sequencing.assign_step(step.unserved)
    assert (step.unserved, step.unfinished) == ([third], [second])


def test_assigning_ends_when_its_time_is_over(ada, filled):
    filled.extend([[0]] * 50)
    notify_many([ada] * 100, "announcement", "Hello")
    assert sequencing.assign_pending([ada.pk], seconds=0) == 1
    assert len(pending(ada)) == 90
    assert sequencing.assign_pending([ada.pk]) == 9
    check_counts(ada.pk)


def test_more_than_500_users_take_several_transactions(db, announced):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(501))
    notify_many(users, "announcement", "Hello")
    announced.clear()
    revisions = assign_revisions([user.pk for user in users])
    assert [revision.user_id for revision in revisions] == sorted(user.pk for user in users)
    assert all(revision.revision == revision.unread_count == 1 for revision in revisions)
    assert [len(carried["revisions"]) for _, carried in announced] == [500, 1]


def test_a_missing_inbox_is_made(assigned):
    [user] = User.objects.bulk_create([User(username="old")])
    assert not Inbox.objects.exists()
    notify(user, "announcement", "Hello")
    [revision] = assigned(user)
    assert (revision.revision, revision.unread_count) == (1, 1)
    assert Inbox.objects.get(user=user).revision == 1


def test_an_inbox_is_made_even_if_nothing_is_pending(assigned):
    [user] = User.objects.bulk_create([User(username="old")])
    assert assigned(user) == []
    assert Inbox.objects.get(user=user).revision == 0


def test_users_who_are_gone_are_ignored(ada, grace):
    notify_many([ada, grace], "announcement", "Hello")
    gone = grace.pk
    grace.delete()
    assert [revision.user_id for revision in assign_revisions([gone, ada.pk, 2**31 - 1])] == [ada.pk]
    assert not Inbox.objects.filter(user_id=gone).exists()


def test_no_users_at_all_are_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert assign_revisions([]) == []


def test_it_takes_the_same_queries_for_1_user_as_for_100(db):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(100))
    everyone = [user.pk for user in users]
    assign_revisions(everyone)

    def queries(wanted):
        notify_many(wanted, "announcement", "Hello")
        with CaptureQueriesContext(connection) as captured:
            assert len(assign_revisions(wanted)) == len(wanted)
        return len(captured)

    assert queries(everyone[:1]) == queries(everyone) <= 6  # BEGIN and COMMIT among them


def test_a_missing_inbox_costs_the_same_for_1_user_as_for_100(db):
    def queries(count):
        users = User.objects.bulk_create(User(username=f"user{count}-{number}") for number in range(count))
        notify_many(users, "announcement", "Hello")
        with CaptureQueriesContext(connection) as captured:
            assert len(assign_revisions([user.pk for user in users])) == count
        return len(captured)

    assert queries(1) == queries(100)


def test_concurrent_assignments_number_each_row_once(ada, threads):
    notify_many([ada] * 350, "announcement", "Hello")
    assigned = []
    threads.together(*[lambda: assigned.extend(assign_revisions([ada.pk]))] * 4)
    replica = DomainReplica(ada.pk)
    for revision in sorted(assigned, key=lambda revision: revision.revision):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)
