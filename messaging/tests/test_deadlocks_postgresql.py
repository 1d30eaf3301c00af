"""One order of locks for every writer: what runs at once in opposite orders waits, and never deadlocks."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, transaction

from messaging import notifications, storing, user_deletion
from messaging.models import Message, Notification
from messaging.notifications import mark_rows_read, notify, notify_many
from messaging.orm import retry
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = 5


@pytest.fixture
def no_retry(monkeypatch):
    monkeypatch.setattr(retry, "MAX_ATTEMPTS", 1)


@pytest.fixture
def quick_deadlocks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = connection.ops.quote_name(cursor.fetchone()[0])
        cursor.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '100ms'")
        yield
        cursor.execute(f"ALTER DATABASE {name} RESET deadlock_timeout")


def at_once(threads, *calls):
    """Run these calls on threads, released together. Returns the errors' sqlstates."""
    barrier, errors = threading.Barrier(len(calls)), []

    def run(call):
        barrier.wait(10)
        try:
            call()
        except OperationalError as error:
            errors.append(retry.sqlstate(error))

    threads.together(*[lambda call=call: run(call) for call in calls])
    return errors


def people(number=1_000):
    users = User.objects.bulk_create(User(username=f"user{place}") for place in range(number))
    return [user.pk for user in users]


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_the_same_key_for_the_same_users_in_opposite_orders(db, threads):
    ids = people()
    for turn in range(TURNS):
        assert not at_once(
            threads,
            lambda turn=turn: notify_many(ids, "announcement", "x", dedupe_key=str(turn)),
            lambda turn=turn: notify_many(ids[::-1], "announcement", "x", dedupe_key=str(turn)),
        )
    assert Notification.objects.count() == TURNS * len(ids)


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_without_the_order_such_inserts_deadlock(db, threads, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(storing, "sorted", lambda rows, key: rows, raising=False)
    ids = people()
    errors = []
    for turn in range(4 * TURNS):
        errors += at_once(
            threads,
            lambda turn=turn: notify_many(ids, "announcement", "x", dedupe_key=str(turn)),
            lambda turn=turn: notify_many(ids[::-1], "announcement", "x", dedupe_key=str(turn)),
        )
        if errors:
            break
    assert set(errors) == {"40P01"}


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_updates_marks_and_removals_of_the_same_rows(ada, grace, threads):
    rows = notify_many([ada, grace] * 300, "announcement", "x")
    ids = [row.pk for row in rows]
    backwards = Notification.objects.filter(pk__in=ids).order_by("-pk")
    for turn in range(TURNS):
        read = turn % 2 == 0
        assert not at_once(
            threads,
            lambda read=read: backwards.update(is_read=read),
            lambda read=read: Notification.objects.filter(pk__in=ids).update(is_read=not read),
            lambda: mark_rows_read(backwards),
            lambda: notifications.mark_unread(ada, ids[::-1]),
            lambda: notifications.mark_read(grace, ids),
        )


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_messages_are_read_while_their_sender_is_deleted(ada, grace, linus, threads):
    for turn in range(TURNS):
        sender = User.objects.create(username=f"sender{turn}")
        for number in range(20):
            Message.objects.create(sender=sender, receiver=(ada, grace)[number % 2], content="x")

        def read(user, turn=turn):
            for message in Message.objects.filter(receiver=user, sender__username=f"sender{turn}"):
                message.is_read = True
                try:
                    message.save(update_fields=["is_read"])
                except DatabaseError as error:
                    if not retry.is_row_gone(error):
                        raise

        assert not at_once(
            threads,
            sender.delete,
            lambda: read(ada),
            lambda turn=turn: Message.objects.filter(sender__username=f"sender{turn}").mark_read(),
            lambda: notifications.mark_read(grace),
        )
        assert not User.objects.filter(username=f"sender{turn}").exists()


# --- Deletion ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_a_user_is_deleted_while_notifications_with_known_keys_arrive(ada, threads):
    """The insert holds the user, and waits for the deleted row with its key: so the user is locked before the rows."""
    for turn in range(TURNS):
        user = User.objects.create(username=f"user{turn}")
        for number in range(200):
            notify(user, "announcement", "x", dedupe_key=str(number))
        pk = user.pk

        def arrive(pk=pk):
            for number in range(200):
                notify_many([ada.pk, pk], "announcement", "x", dedupe_key=str(number))

        assert not at_once(threads, user.delete, arrive, arrive)
        assert not Notification.everything.filter(user_id=pk).exists()


def test_an_insert_waits_for_the_deletion_and_leaves_the_user_out(ada, grace, held, threads):
    pk = grace.pk
    made = []
    with held(grace.delete):
        threads.start(lambda: made.extend(notify_many([ada.pk, pk], "announcement", "x")))
        until(waits_for_a_lock)
    threads.join()
    assert [row.user_id for row in made] == [ada.pk]


def test_a_deletion_waits_for_the_insert_and_takes_it_along(ada, grace, held, threads):
    pk = grace.pk
    with held(lambda: notify(grace, "announcement", "x", actor=ada)):
        threads.start(grace.delete)
        until(waits_for_a_lock)
        assert User.objects.filter(pk=pk).exists()
    threads.join()
    assert not User.objects.filter(pk=pk).exists()
    assert not Notification.everything.exists()


def test_a_deletion_that_is_rolled_back_has_cost_nothing(ada, held, threads):
    pk, made = ada.pk, []
    with held(ada.delete, undo=True):
        threads.start(lambda: made.append(notify(pk, "announcement", "x")))
        until(waits_for_a_lock)
    threads.join()
    assert len(made) == 1


def test_without_the_late_rows_receiver_the_deletion_fails(ada, grace, held, threads, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(user_deletion, "OUR_APPS", ("realtime",))
    errors = []

    def delete():
        try:
            grace.delete()
        except Exception as error:
            errors.append(error)

    with held(lambda: Message.objects.create(sender=ada, receiver=grace, content="x")):
        threads.start(delete)
        until(waits_for_a_lock)
    threads.join()
    assert retry.is_dangling(errors[0])


def test_inside_a_transaction_of_the_callers_nothing_is_repeated(ada, grace, threads):
    """The caller's transaction is lost; the error is the caller's to handle."""
    attempts = []

    def work():
        attempts.append(1)
        raise OperationalError("deadlock detected") from Deadlock()

    with pytest.raises(OperationalError), transaction.atomic():
        retry.retry_on_transient(work)
    assert len(attempts) == 1


class Deadlock(Exception):
    sqlstate = "40P01"
