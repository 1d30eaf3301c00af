"""Notifications that get their revision in the statement that inserts them, on both databases."""

import sqlite3

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from messaging import numbered_insertion, sequencing, stored_functions, storing
from messaging.events import notifications_pending, revisions_assigned
from messaging.exceptions import UnknownUser
from messaging.models import Block, Inbox, Notification
from messaging.notifications import assign_revisions, mark_unread, notify, notify_many
from messaging.tests.domain_replica import DomainReplica, fresh_read

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("numbered", "inboxes")]


@pytest.fixture
def inboxes(ada, grace, linus):
    Inbox.objects.bulk_create([Inbox(user=user) for user in (ada, grace, linus)], ignore_conflicts=True)


@pytest.fixture
def heard():
    """The revisions that were assigned, and the users who were announced as pending."""
    revisions: list[sequencing.Revision] = []
    pending: list[int] = []

    def on_revisions(sender, revisions, _all=revisions, **kwargs):
        _all.extend(revisions)

    def on_pending(sender, user_ids, **kwargs):
        pending.extend(sorted(user_ids))

    revisions_assigned.connect(on_revisions)
    notifications_pending.connect(on_pending)
    yield revisions, pending
    revisions_assigned.disconnect(on_revisions)
    notifications_pending.disconnect(on_pending)


def bookkeeping(row):
    return Notification.everything.values_list("revision", "counted", "pending_since").get(pk=row.pk)


def state(user):
    return tuple(Inbox.objects.values_list("revision", "unread_count").get(user=user))


def in_transaction(user):
    with transaction.atomic():
        notify(user, "message_read", "Read")


@pytest.mark.parametrize(
    "write",
    [
        lambda user: notify(user, "message_read", "Read"),
        lambda user: notify_many([user], "message_read", "Read"),
        lambda user: notify_many([user, user], "message_read", "Read"),
        in_transaction,
    ],
    ids=["one", "many of one", "many", "in a transaction"],
)
def test_a_type_that_does_not_count_is_not_counted_by_any_road(ada, write):
    notify(ada, "announcement", "Counts")
    write(ada)
    assign_revisions([ada.pk])
    receipts = Notification.objects.filter(notification_type="message_read")
    assert set(receipts.values_list("is_read", "counted", "pending_since")) == {(True, False, None)}
    assert state(ada) == (2, 1)
    # Marked unread by its user it counts, as any other does.
    mark_unread(ada, receipts)
    assign_revisions([ada.pk])
    assert state(ada) == (3, 1 + receipts.count())
    assert fresh_read(ada.pk).unread_count == 1 + receipts.count()


def test_a_lone_notification_is_numbered_and_counted_at_once(ada, grace, heard):
    notify(ada, "announcement", "First")
    row = notify(ada, "announcement", "Second", "More", level="error", url="/x/", actor=grace)
    assert bookkeeping(row) == (2, True, None)
    assert state(ada) == (2, 2)
    revisions, pending = heard
    assert pending == []
    assert [(one.user_id, one.revision, one.unread_count) for one in revisions] == [
        (ada.pk, 1, 1),
        (ada.pk, 2, 2),
    ]
    (shape,) = revisions[1].added
    assert shape.model_dump() == fresh_read_shape(row)
    assert shape.actor.username == "grace"
    assert (row.revision, row.created_at) == (2, shape.created_at)
    call_command("check_inboxes")


def fresh_read_shape(row):
    from messaging import inboxes

    (missed,) = [one for one in inboxes.missed({row.user_id: 0})[row.user_id].rows if one.id == row.pk]
    return missed.notification.model_dump()


def test_many_get_one_revision_each_and_several_of_one_user_share_it(ada, grace, linus, heard):
    rows = notify_many([ada, grace, ada, linus], "announcement", "Hello")
    assert [(state(user)) for user in (ada, grace, linus)] == [(1, 2), (1, 1), (1, 1)]
    revisions, pending = heard
    assert pending == []
    assert {one.user_id: [shape.id for shape in one.added] for one in revisions} == {
        ada.pk: [rows[0].pk, rows[2].pk],
        grace.pk: [rows[1].pk],
        linus.pk: [rows[3].pk],
    }
    for user in (ada, grace, linus):
        replica = DomainReplica(user.pk)
        for revision in revisions:
            if revision.user_id == user.pk:
                replica.apply_revision(revision)
        assert replica == fresh_read(user.pk)


def test_what_is_born_read_is_not_counted(ada, heard):
    row = notify(ada, "user_online", "Grace is online")
    assert bookkeeping(row) == (1, False, None)
    assert state(ada) == (1, 0)
    assert [(one.revision, one.unread_count) for one in heard[0]] == [(1, 0)]


def test_a_duplicate_changes_nothing(ada, grace, heard):
    assert notify(ada, "announcement", "Once", dedupe_key="k")
    assert notify(ada, "announcement", "Twice", dedupe_key="k") is None
    assert [row.user_id for row in notify_many([ada, grace], "announcement", "x", dedupe_key="k")] == [
        grace.pk
    ]
    assert (state(ada), state(grace)) == ((1, 1), (1, 1))
    assert len(heard[0]) == 2


def test_unknown_users_and_those_who_have_blocked_the_actor_are_left_out(ada, grace, linus, heard):
    unknown = linus.pk
    linus.delete()
    with pytest.raises(UnknownUser):
        notify(unknown, "announcement", "Hello")
    Block.objects.create(blocker=ada, blocked=grace)
    assert notify(ada, "new_message", "Hello", actor=grace) is None
    assert len(notify_many([ada, grace, unknown], "new_message", "Hello", actor=grace)) == 1
    assert (state(ada), state(grace)) == ((0, 0), (1, 1))
    assert [one.user_id for one in heard[0]] == [grace.pk]


def test_an_actor_and_a_message_who_are_gone_are_left_out(ada, linus, heard):
    actor = linus.pk
    linus.delete()
    row = notify(ada, "announcement", "Hello", actor=actor, message=2**40)
    row.refresh_from_db()
    assert (row.actor_id, row.message_id) == (None, None)
    (shape,) = heard[0][-1].added
    assert (shape.actor, shape.message_id) == (None, None)


def test_rows_follow_those_that_are_pending(ada, grace, heard):
    """A revision before theirs would overtake them."""
    with transaction.atomic():
        first = notify(ada, "announcement", "First")
    later = notify_many([ada, grace], "announcement", "Later")
    if connection.vendor == "postgresql":
        assert [bookkeeping(row)[0] for row in (first, *later)] == [None, None, 1]
        assert heard[1] == [ada.pk, ada.pk]
    assign_revisions([ada.pk])
    added = [shape.id for one in heard[0] if one.user_id == ada.pk for shape in one.added]
    assert added == [first.pk, later[0].pk]
    assert state(ada)[1] == 2


def test_without_an_inbox_a_row_is_pending(ada, grace, heard):
    Inbox.objects.filter(user=ada).delete()
    row, other = notify_many([ada, grace], "announcement", "Hello")
    assert (bookkeeping(row)[0], bookkeeping(other)[0]) == (None, 1)
    assert heard[1] == [ada.pk]
    assign_revisions([ada.pk])
    assert state(ada) == (1, 1)


def test_more_rows_of_a_user_than_a_revision_takes_are_several(ada, grace, heard):
    count = sequencing.ROWS_PER_REVISION + 1
    notify_many([ada] * count + [grace], "announcement", "Hello")
    assign_revisions([ada.pk])
    assert (state(ada), state(grace)) == ((2, count), (1, 1))
    assert sorted(len(one.added) for one in heard[0]) == [1, 1, count - 1]


def test_in_a_transaction_rows_are_pending(ada, heard):
    with transaction.atomic():
        row = notify(ada, "announcement", "Hello")
        assert heard == ([], [])
    assert bookkeeping(row)[0] is None
    assert heard == ([], [ada.pk])


def test_a_missing_function_is_made_again_and_meanwhile_rows_are_pending(ada, heard):
    if connection.vendor != "postgresql":
        assert stored_functions.exist(connection)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::regprocedure FROM pg_proc WHERE proname = %s", [stored_functions.INSERT])
        cursor.execute(f"DROP FUNCTION {cursor.fetchone()[0]}")
    assert not stored_functions.exist(connection)
    notify(ada, "announcement", "Hello")
    assert heard == ([], [ada.pk])
    call_command("migrate", "messaging", verbosity=0)
    assert stored_functions.exist(connection)
    assign_revisions([ada.pk])
    notify(ada, "announcement", "Hello")
    assert state(ada) == (2, 2)


def test_without_autocommit_nothing_is_announced_before_the_callers_commit(ada, heard):
    transaction.set_autocommit(False)
    try:
        with pytest.raises(transaction.TransactionManagementError):
            notify(ada, "announcement", "Hello")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert heard == ([], [])
    assert state(ada) == (0, 0)


def test_a_locked_database_is_tried_again(ada, monkeypatch):
    attempts = []
    right = numbered_insertion.insert_numbered

    def fail_once(rows, **options):
        attempts.append(rows)
        if len(attempts) == 1:
            error = OperationalError("database is locked")
            error.__cause__ = sqlite3.OperationalError("database is locked")
            error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return right(rows, **options)

    monkeypatch.setattr(storing, "insert_numbered", fail_once)
    assert notify(ada, "announcement", "Hello")
    assert (len(attempts), state(ada)) == (2, (1, 1))


def test_an_installation_in_another_schema_keeps_its_function(ada):
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other")
        try:
            cursor.execute(
                f"CREATE FUNCTION other.{stored_functions.INSERT}() RETURNS int LANGUAGE sql AS 'SELECT 1'"
            )
            assert stored_functions.exist(connection)
            stored_functions.create(connection)
            cursor.execute(f"SELECT other.{stored_functions.INSERT}()")
            assert cursor.fetchone() == (1,)
        finally:
            cursor.execute("DROP SCHEMA other CASCADE")
