"""Locked inboxes and deadlocks while revisions are assigned (collected on PostgreSQL only)."""

import random
import threading

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from messaging import sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox, Notification
from messaging.notifications import assign_revisions, notify, notify_many
from messaging.orm import retry
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)


# --- Locked inboxes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch):
    """A locked inbox is waited for as long as the test takes."""
    monkeypatch.setattr(sequencing, "LOCK_SECONDS", 60)


def lock_inbox(user):
    list(Inbox.objects.filter(user=user).select_for_update())


def test_a_locked_inbox_delays_no_other_users(ada, grace, held, threads, caplog):
    notify_many([ada, grace], "announcement", "Hello")
    with held(lambda: lock_inbox(ada)):
        # Returns while the inbox is locked.
        assert [
            (assigned.user_id, assigned.revision) for assigned in assign_revisions([ada.pk, grace.pk])
        ] == [(grace.pk, 1)]
    assert "notifications of 1 users stay pending" in caplog.text
    assert [(each.user_id, each.revision) for each in assign_revisions([ada.pk, grace.pk])] == [(ada.pk, 1)]


@pytest.mark.usefixtures("patient")
def test_a_locked_inbox_is_waited_for_and_others_get_their_revisions_meanwhile(ada, grace, held, threads):
    notify_many([ada, grace], "announcement", "Hello")
    assigned: list[tuple[int, int]] = []

    def listener(sender, revisions, **kwargs):
        assigned.extend((revision.user_id, revision.revision) for revision in revisions)

    revisions_assigned.connect(listener)
    try:
        with held(lambda: lock_inbox(ada)):
            threads.start(lambda: assign_revisions([ada.pk, grace.pk]))
            until(waits_for_a_lock)
            assert assigned == [(grace.pk, 1)]
        threads.join()
    finally:
        revisions_assigned.disconnect(listener)
    assert assigned == [(grace.pk, 1), (ada.pk, 1)]


# --- Locks and deadlocks ----------------------------------------------------------------------------------------------


def test_concurrent_assignments_of_overlapping_users_do_not_deadlock(db, threads, monkeypatch):
    monkeypatch.setattr(retry, "MAX_ATTEMPTS", 1)
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(30))
    ids = [user.pk for user in users]
    assign_revisions(ids)
    replicas = {pk: DomainReplica(pk) for pk in ids}
    assigned = []

    def work(seed):
        chance = random.Random(seed)
        for _ in range(25):
            some = chance.sample(ids, 15)
            notify_many(some, "announcement", "x")
            assigned.extend(assign_revisions(some))

    threads.together(*[lambda seed=seed: work(seed) for seed in range(6)])
    assigned += assign_revisions(ids)
    for revision in sorted(assigned, key=lambda revision: (revision.user_id, revision.revision)):
        replicas[revision.user_id].apply_revision(revision)
    for pk in ids:
        assert replicas[pk] == fresh_read(pk)
        check_counts(pk)


@pytest.mark.usefixtures("patient")
def test_locks_in_another_order_deadlock_and_are_retried(ada, grace, threads, caplog):
    """Negative control of the order, and a real deadlock for the retry: the others lock backwards."""
    caplog.set_level("INFO", "messaging.orm.retry")
    low, high = sorted([ada.pk, grace.pk])
    notify_many([ada, grace], "announcement", "Hello")
    holds_high = threading.Event()
    errors = []

    def backwards():
        try:
            with transaction.atomic():
                # Of two in a deadlock, the one that has waited this long gives up: never this one.
                connection.cursor().execute("SET LOCAL deadlock_timeout = '30s'")
                list(Inbox.objects.filter(user_id=high).select_for_update())
                holds_high.set()
                until(waits_for_a_lock)
                list(Inbox.objects.filter(user_id=low).select_for_update())
        except OperationalError as error:
            errors.append(error)

    thread = threads.start(backwards)
    assert holds_high.wait(10)
    revisions, *needs_another = sequencing.assign_step([low, high], lock_seconds=60)
    assert needs_another == [[], [], []]
    thread.join(10)
    assert errors == []
    assert [(revision.user_id, revision.revision) for revision in revisions] == [(low, 1), (high, 1)]
    assert "the transaction is retried" in caplog.text
    for pk in (low, high):
        check_counts(pk)


def test_concurrent_assignments_create_a_missing_inbox_once(threads):
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(20))
    ids = [user.pk for user in users]
    notify_many(ids, "announcement", "Hello")
    assigned = []
    threads.together(
        *[
            lambda some=some: assigned.extend(assign_revisions(some))
            for some in (ids, ids[::-1], ids[:10], ids[10:])
        ]
    )
    assert sorted(revision.user_id for revision in assigned) == ids
    for pk in ids:
        check_counts(pk)


@pytest.mark.usefixtures("patient")
def test_a_user_deleted_while_the_inbox_is_created_is_ignored(ada, held, threads):
    """The other users, who share the transaction, must not be affected."""
    [leaving] = User.objects.bulk_create([User(username="leaving")])
    pk = leaving.pk
    notify(ada, "announcement", "Hello")
    assigned = []
    with held(leaving.delete):
        threads.start(lambda: assigned.extend(assign_revisions([ada.pk, pk])))
        until(waits_for_a_lock)
    threads.join()
    assert [revision.user_id for revision in assigned] == [ada.pk]
    check_counts(ada.pk)


@pytest.mark.usefixtures("patient")
def test_a_user_deleted_while_revisions_are_assigned_takes_everything_along(ada, grace, held, threads):
    notify_many([ada, grace], "announcement", "Hello")
    gone = grace.pk
    assigned = []
    with held(grace.delete):
        threads.start(lambda: assigned.extend(assign_revisions([ada.pk, gone])))
        until(waits_for_a_lock)
    threads.join()
    assert [revision.user_id for revision in assigned] == [ada.pk]
    assert not Notification.everything.filter(user_id=gone).exists()
