import random

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from messaging import sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox, Message, Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.orm import retry
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    """Raised to roll a transaction back."""


class PassingError(Exception):
    """What psycopg raises, as far as the retry looks at it."""

    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def pending(user):
    return list(
        Notification.everything.filter(user=user, pending_since__isnull=False)
        .order_by("id")
        .values_list("id", flat=True)
    )


def raw_insert(user, title="By hand"):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_notification (user_id, notification_type, title, description, level, is_read)"
            " VALUES (%s, 'announcement', %s, '', 'info', %s)",
            [user.pk, title, False],
        )


def test_a_new_notification_is_pending_until_it_is_stamped(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    assert pending(ada) == [row.pk]
    [revision] = assigned(ada)
    assert [shape.id for shape in revision.added] == [row.pk]
    assert (revision.revision, revision.unread_count) == (1, 1)
    assert (revision.read, revision.unread, revision.removed) == ([], [], [])
    assert pending(ada) == []
    assert fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 1, {row.pk: False})


def test_a_stamp_tells_the_whole_notification(ada, grace, assigned):
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    [revision] = assigned(ada)
    [shape] = revision.added
    row = Notification.objects.get()
    assert shape.model_dump() == {
        "id": row.pk,
        "notification_type": "new_message",
        "title": "New message from grace",
        "description": "You have received a new message: Hello!",
        "level": "info",
        "is_read": False,
        "created_at": row.created_at,
        "actor": {"id": grace.pk, "username": "grace"},
        "message_id": message.pk,
        "url": None,
    }
    assert shape.created_at.utcoffset().total_seconds() == 0


def test_a_stamp_with_nothing_pending_deals_nothing(ada, assigned, announced):
    assert assigned(ada) == []
    notify(ada, "announcement", "Hello")
    assert len(assigned(ada)) == 1
    announced.clear()
    assert assigned(ada) == []
    assert announced == []
    assert Inbox.objects.get(user=ada).revision == 1


def test_each_change_is_told_as_what_it_is(ada, assigned):
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


def test_several_changes_before_a_stamp_are_one(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    mark_read(ada, [row.pk])
    [revision] = assigned(ada)
    assert [(shape.id, shape.is_read) for shape in revision.added] == [(row.pk, True)]
    assert (revision.read, revision.unread_count) == ([], 0)


def test_a_notification_removed_before_its_first_stamp_is_told_as_removed_only(ada, assigned):
    row = notify(ada, "announcement", "Hello")
    remove(ada, [row.pk])
    [revision] = assigned(ada)
    assert (revision.added, revision.removed, revision.unread_count) == ([], [row.pk], 0)


def test_what_was_dealt_is_announced_after_commit(ada, announced):
    notify(ada, "announcement", "Hello")
    announced.clear()
    revisions = assign_revisions([ada.pk])
    assert announced == [("revisions_assigned", {"revisions": revisions})]


def test_a_listener_that_fails_does_not_fail_the_stamp(ada, assigned):
    def listener(**kwargs):
        raise RuntimeError("deaf")

    revisions_assigned.connect(listener)
    notify(ada, "announcement", "Hello")
    assert len(assigned(ada)) == 1


def test_stamping_inside_a_transaction_is_refused(ada):
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


def test_more_than_1000_rows_are_dealt_in_several_transactions(ada, grace, assigned):
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


def test_exactly_as_many_rows_as_a_transaction_takes_are_dealt_and_the_stamp_ends(ada, monkeypatch):
    monkeypatch.setattr(sequencing, "ROWS_PER_TRANSACTION", 10)
    notify_many([ada] * 10, "announcement", "Hello")
    assert sum(len(revision.added) for revision in assign_revisions([ada.pk])) == 10
    check_counts(ada.pk)


def test_more_than_500_users_are_stamped_in_several_transactions(db, announced):
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


def test_a_stamp_takes_the_same_queries_for_1_user_as_for_100(db):
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
def test_whatever_changes_a_notification_it_is_pending_announced_and_told(ada, assigned, announced, change):
    row = notify(ada, "announcement", "Hello")
    assigned(ada)
    announced.clear()
    change(Notification.objects.filter(pk=row.pk), Notification.objects.get(pk=row.pk))
    assert pending(ada) == [row.pk]
    assert announced
    assert all(heard == ("notifications_pending", {"user_ids": {ada.pk}}) for heard in announced)
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
def test_however_a_notification_is_made_it_is_pending_and_told(ada, assigned, make):
    make(ada)
    row = Notification.objects.get()
    assert pending(ada) == [row.pk]
    [revision] = assigned(ada)
    assert [shape.id for shape in revision.added] == [row.pk]
    assert revision.unread_count == 1
    check_counts(ada.pk)


@pytest.mark.parametrize("how", ["save", "bulk_create"])
def test_a_copy_of_a_told_notification_is_new(ada, assigned, how):
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


def test_a_rolled_back_change_is_not_told(ada, assigned, announced):
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


@pytest.mark.parametrize("state", ["40P01", "40001"])
def test_a_deadlock_is_tried_again(ada, assigned, monkeypatch, state):
    notify(ada, "announcement", "Hello")
    tries = []
    assign_batch = sequencing._assign_batch

    def unlucky(user_ids, **options):
        batch = assign_batch(user_ids, **options)
        tries.append(batch)
        if len(tries) < retry.TRIES:
            raise OperationalError("deadlock detected") from PassingError(state)
        return batch

    monkeypatch.setattr(sequencing, "_assign_batch", unlucky)
    [revision] = assigned(ada)
    assert len(tries) == 3
    assert revision.revision == 1
    check_counts(ada.pk)


def test_after_three_deadlocks_the_error_is_raised_and_nothing_is_dealt(ada, monkeypatch, announced):
    notify(ada, "announcement", "Hello")
    announced.clear()
    assign_batch = sequencing._assign_batch

    def unlucky(user_ids, **options):
        assign_batch(user_ids, **options)
        raise OperationalError("deadlock detected") from PassingError("40P01")

    monkeypatch.setattr(sequencing, "_assign_batch", unlucky)
    with pytest.raises(OperationalError):
        assign_revisions([ada.pk])
    assert announced == []
    assert len(pending(ada)) == 1
    assert Inbox.objects.get(user=ada).revision == 0


def test_another_database_error_is_not_tried_again(ada, monkeypatch):
    tries = []

    def broken(user_ids, **options):
        tries.append(user_ids)
        raise OperationalError("the disk is full")

    monkeypatch.setattr(sequencing, "_assign_batch", broken)
    with pytest.raises(OperationalError, match="disk"):
        assign_revisions([ada.pk])
    assert len(tries) == 1


def test_two_stamps_at_once_deal_each_row_once(ada, threads):
    notify_many([ada] * 350, "announcement", "Hello")
    assigned = []
    threads.together(*[lambda: assigned.extend(assign_revisions([ada.pk]))] * 4)
    replica = DomainReplica(ada.pk)
    for revision in sorted(assigned, key=lambda revision: revision.revision):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


class History:
    """Random operations on one inbox, and what a client makes of the revisions assigned."""

    def __init__(self, user, other, seed):
        self.user, self.other = user, other
        self.random = random.Random(seed)
        self.replica = DomainReplica(user.pk)
        self.past = [self.replica.copy()]

    def some(self):
        everything = list(
            Notification.everything.filter(user__in=[self.user, self.other]).values_list("id", flat=True)
        )
        return self.random.sample(everything, min(len(everything), self.random.randint(1, 6)))

    def rows(self):
        return Notification.objects.filter(user=self.user, id__in=self.some()).order_by("id")

    def messages(self):
        everything = list(Message.objects.order_by("id"))
        return self.random.sample(everything, len(everything))

    def change(self):
        """Do one random thing to the inbox, by any of the doors there are."""
        user, chance = self.user, self.random
        new = {"notification_type": "announcement", "title": "x"}
        doors = [
            lambda: notify(user, "announcement", "x"),
            lambda: notify(user, "user_online", "x"),
            lambda: notify(user, "announcement", "x", dedupe_key=str(chance.randint(1, 20))),
            lambda: notify_many([user, self.other] * chance.randint(1, 70), "announcement", "x"),
            lambda: Notification.objects.create(user=user, is_read=chance.random() < 0.3, **new),
            lambda: Notification.objects.bulk_create(Notification(user=user, **new) for _ in range(3)),
            lambda: raw_insert(user),
            lambda: Message.objects.create(sender=self.other, receiver=user, content="x"),
            lambda: [(setattr(message, "is_read", True), message.save()) for message in self.messages()[:2]],
            lambda: mark_read(user, self.some()),
            lambda: mark_read(user) if chance.random() < 0.2 else None,
            lambda: mark_unread(user, self.some()),
            lambda: remove(user, self.some()),
            lambda: self.rows().order_by().update(is_read=chance.random() < 0.5),
            lambda: self.rows().delete(),
            lambda: [row.delete() for row in self.rows()[:2]],
            lambda: [(setattr(row, "is_read", not row.is_read), row.save()) for row in self.rows()[:2]],
            lambda: [message.delete() for message in self.messages()[:1]],
        ]
        chance.choice(doors)()

    def step(self):
        what = self.random.random()
        if what < 0.35:
            self.assign()
        elif what < 0.45:
            try:
                with transaction.atomic():
                    self.change()
                    self.change()
                    raise Undo
            except Undo:
                pass
        elif what < 0.55:
            with transaction.atomic():
                self.change()
                self.change()
        else:
            self.change()

    def assign(self):
        for revision in assign_revisions([self.user.pk, self.other.pk]):
            if revision.user_id == self.user.pk:
                self.replica.apply_revision(revision)
                self.past.append(self.replica.copy())
        assert self.replica == fresh_read(self.user.pk)
        check_counts(self.user.pk)
        check_counts(self.other.pk)
        behind = self.random.choice(self.past).copy()
        behind.catch_up()
        assert behind == self.replica


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_a_client_has_what_a_fresh_read_has(ada, grace, seed):
    history = History(ada, grace, seed)
    for _ in range(60):
        history.step()
    history.assign()
    assert history.replica.revision > 3
    for past in history.past:
        past.catch_up()
        assert past == history.replica


def test_the_history_test_notices_a_change_that_is_not_told(ada, grace):
    """Negative control: with an update that marks nothing pending, client and server part."""
    history = History(ada, grace, 1)
    row = notify(ada, "announcement", "x")
    history.assign()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_notification SET is_read = %s WHERE id = %s", [True, row.pk])
    with pytest.raises(AssertionError):
        history.assign()


def test_a_row_waits_since_the_databases_time(ada):
    row = notify(ada, "announcement", "Hello")
    assert Notification.objects.filter(pk=row.pk, pending_since__lte=Now()).exists()
