"""What only row locks can show: collected on PostgreSQL only (conftest.py)."""

import os
import random
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext

from messaging import inboxes, profiles, sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox, Message, Notification, UserProfile
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.orm import retry
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.presence import set_leaving, set_online

pytestmark = pytest.mark.django_db(transaction=True)

# How long the threads write; the issue's own figure is 10.
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))


class Undo(Exception):
    """Raised to roll a transaction back."""


@pytest.fixture
def held(threads):
    """Do something in a transaction of another thread, which stays open until the block ends."""

    @contextmanager
    def hold(function, *, undo=False):
        done, go_on = threading.Event(), threading.Event()

        def run():
            try:
                with transaction.atomic():
                    function()
                    done.set()
                    assert go_on.wait(60)
                    if undo:
                        raise Undo
            except Undo:
                pass
            finally:
                done.set()

        thread = threads.start(run)
        assert done.wait(10)
        try:
            yield thread
        finally:
            go_on.set()
            thread.join(10)

    return hold


def waits_for_a_lock():
    """Is anybody else in this database waiting for a lock?"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


# --- Many writers -------------------------------------------------------------------------------------------------


def write_at_random(user, seed, deadline, committed):
    """Make, read, unread and remove, in transactions of random length, 10 % of which are rolled back."""
    chance = random.Random(seed)
    while time.monotonic() < deadline:
        made = []
        try:
            with transaction.atomic():
                for _ in range(chance.randint(1, 4)):
                    what = chance.random()
                    if what < 0.6 or not committed:
                        made += notify_many([user] * chance.randint(1, 3), "announcement", "x")
                    else:
                        some = chance.sample(committed, min(len(committed), 3))
                        chance.choice([mark_read, mark_unread, remove])(user, some)
                    if chance.random() < 0.5:
                        time.sleep(chance.random() * 0.02)
                if chance.random() < 0.1:
                    raise Undo
        except Undo:
            continue
        except OperationalError as error:
            # Two who change the same rows in different orders, as any two transactions may.
            if getattr(error.__cause__, "sqlstate", None) != "40P01":
                raise
            continue
        committed.extend(row.pk for row in made)


def test_six_threads_writing_to_one_user_miss_nothing(ada, threads, capsys):
    deadline = time.monotonic() + SOAK_SECONDS
    committed: list[int] = []
    assigned, over = [], threading.Event()

    def stamp_on():
        while not over.is_set():
            assigned.extend(assign_revisions([ada.pk]))

    follower = DomainReplica(ada.pk)
    followed = []

    def follow():
        """A reader that tails revisions, and never looks back."""
        while not over.is_set():
            followed.extend(follower.catch_up())
            time.sleep(0.002)

    writers = [threads.start(write_at_random, ada, seed, deadline, committed) for seed in range(6)]
    threads.start(stamp_on)
    threads.start(stamp_on)
    threads.start(follow)
    for writer in writers:
        writer.join(SOAK_SECONDS + 30)
    over.set()
    threads.join()
    assigned += assign_revisions([ada.pk])
    followed += follower.catch_up()

    replica = DomainReplica(ada.pk)
    for revision in sorted(assigned, key=lambda revision: revision.revision):
        replica.apply_revision(revision)
    everything = set(Notification.everything.values_list("id", flat=True))
    assert everything == set(committed)
    assert len(committed) > 10 * SOAK_SECONDS
    assert replica == fresh_read(ada.pk) == follower
    assert set(followed) == everything, "a reader by revisions skipped a row"
    added = [shape.id for revision in assigned for shape in revision.added]
    assert len(added) == len(set(added)), "a row was told as new twice"
    check_counts(ada.pk)
    call_command("check_inboxes")
    with capsys.disabled():
        print(
            f"\n  {len(committed)} rows in {SOAK_SECONDS:g} s by six threads: {replica.revision} revisions,"
            f" {replica.unread_count} unread"
        )


def test_a_reader_that_tails_ids_skips_rows(ada, held):
    """Negative control: ids are not in commit order. This is why there are revisions."""
    with held(lambda: notify(ada, "announcement", "slow")):
        fast = notify(ada, "announcement", "fast")
        seen = list(Notification.objects.filter(id__gt=0).values_list("title", flat=True))
        revisions = assign_revisions([ada.pk])
    after = list(Notification.objects.filter(id__gt=fast.pk).values_list("title", flat=True))
    assert seen + after == ["fast"]
    revisions += assign_revisions([ada.pk])
    assert [[shape.title for shape in revision.added] for revision in revisions] == [["fast"], ["slow"]]


def test_a_reader_that_tails_ids_skips_rows_under_load_too(ada, threads, capsys):
    """Negative control of the six threads: the same writers, a reader by ids."""
    deadline = time.monotonic() + min(SOAK_SECONDS, 3)
    committed: list[int] = []
    seen: list[int] = []
    over = threading.Event()

    def follow():
        last_id = 0
        while True:
            last = over.is_set()
            rows = Notification.everything.filter(id__gt=last_id).order_by("id").values_list("id", flat=True)
            seen.extend(rows)
            last_id = max([last_id, *seen[-1:]])
            if last:
                return
            time.sleep(0.002)

    writers = [threads.start(write_at_random, ada, seed, deadline, committed) for seed in range(6)]
    threads.start(follow)
    for writer in writers:
        writer.join(30)
    over.set()
    threads.join()
    assert set(seen) < set(committed)
    with capsys.disabled():
        print(f"\n  a reader by ids skipped {len(set(committed) - set(seen))} of {len(committed)} rows")


# --- Open transactions ------------------------------------------------------------------------------------------------


def test_a_row_that_an_open_transaction_holds_is_told_afterwards(ada, held):
    replica = DomainReplica(ada.pk)
    row, other = notify_many([ada, ada], "announcement", "Hello")
    replica.apply_revision(*assign_revisions([ada.pk]))
    with held(lambda: mark_read(ada, [row.pk])) as thread:
        started = time.monotonic()
        while time.monotonic() - started < 2:
            mark_read(ada, [other.pk])
            # One that waited for the open transaction would wait for ever: it ends with this block.
            for revision in assign_revisions([ada.pk]):
                replica.apply_revision(revision)
            assert thread.is_alive()
            mark_unread(ada, [other.pk])
            time.sleep(0.1)
        assert replica.read_marks[row.pk] is False
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica.read_marks[row.pk] is True
    assert replica == fresh_read(ada.pk)
    check_counts(ada.pk)


def test_a_row_that_waits_already_and_is_held_is_told_afterwards(ada, held):
    """Pending when the stamp looks, changed in the open transaction: the very row that would be waited for."""
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    with held(lambda: mark_read(ada, [row.pk])):
        assert assign_revisions([ada.pk]) == []
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 0, {row.pk: True})


def test_a_change_that_is_rolled_back_after_a_stamp_is_not_told(ada, held):
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    with held(lambda: mark_read(ada, [row.pk]), undo=True):
        assert assign_revisions([ada.pk]) == []
    for revision in assign_revisions([ada.pk]):
        replica.apply_revision(revision)
    assert replica == fresh_read(ada.pk) == DomainReplica(ada.pk, 1, 1, {row.pk: False})


@pytest.mark.parametrize("including", [True, False])
def test_the_state_after_a_change_includes_it_though_another_call_holds_the_row(
    ada, held, monkeypatch, including
):
    """A second call for the same row waits for the first one's commit, and holds it just when that one stamps."""
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    stamps = []

    def assign_meanwhile(user_ids):
        stamps.append(user_ids)
        if len(stamps) == 1:
            with held(lambda: list(Notification.objects.select_for_update().filter(pk=row.pk))):
                return assign_revisions(user_ids)
        return assign_revisions(user_ids)

    monkeypatch.setattr(inboxes, "assign_revisions", assign_meanwhile)
    ids = mark_read(ada, [row.pk])
    found = inboxes.state(ada.pk, including=ids if including else ())
    # Without asking for it, the control, it isn't there.
    assert (found.revision, found.unread_count) == ((2, 0) if including else (1, 1))


def test_a_row_that_is_held_for_long_is_not_waited_for_for_ever(ada, held, monkeypatch):
    monkeypatch.setattr(inboxes, "HELD_SECONDS", 0.1)
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    ids = mark_read(ada, [row.pk])
    with held(lambda: mark_unread(ada, [row.pk])):
        assert inboxes.state(ada.pk, including=ids).revision == 1


@pytest.fixture
def without_skip_locked(monkeypatch):
    """Negative control: the same SQL, waiting for rows instead of leaving them."""
    execute = CursorWrapper.execute
    changed = []

    def patched(self, sql, params=None):
        if isinstance(sql, str) and "FOR UPDATE SKIP LOCKED" in sql:
            sql = sql.replace("FOR UPDATE SKIP LOCKED", "FOR UPDATE")
            changed.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", patched)
    return changed


def test_without_skip_locked_a_stamp_waits_for_the_open_transaction(ada, held, threads, without_skip_locked):
    row = notify(ada, "announcement", "Hello")
    stamped = threading.Event()
    with held(lambda: mark_read(ada, [row.pk])):
        thread = threads.start(lambda: (assign_revisions([ada.pk]), stamped.set()))
        until(waits_for_a_lock)
        assert not stamped.is_set()
    thread.join(10)
    assert stamped.is_set()
    assert without_skip_locked


def test_without_locks_on_the_rows_a_change_is_lost(ada, held, threads, monkeypatch):
    """Negative control: numbered with the content from before the wait, and the change never told."""
    execute = CursorWrapper.execute

    def patched(self, sql, params=None):
        if isinstance(sql, str) and "FOR UPDATE SKIP LOCKED" in sql:
            # The obvious way: look at what is pending, then number those rows.
            sql = sql.replace("FOR UPDATE SKIP LOCKED", "")
            sql = sql.replace("counted = NOT n.is_read AND", "counted = NOT d.was_read AND")
            sql = sql.replace("SELECT id, user_id,", "SELECT id, user_id, is_read AS was_read,")
            sql = sql.replace("n.is_read,", "d.was_read,")
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", patched)
    replica = DomainReplica(ada.pk)
    row = notify(ada, "announcement", "Hello")
    assigned = []
    with held(lambda: mark_read(ada, [row.pk])):
        threads.start(lambda: assigned.extend(assign_revisions([ada.pk])))
        until(waits_for_a_lock)
    threads.join()
    assigned += assign_revisions([ada.pk])
    for revision in assigned:
        replica.apply_revision(revision)
    assert replica.read_marks == {row.pk: False}
    assert fresh_read(ada.pk).read_marks == {row.pk: True}


def test_a_long_business_transaction_does_not_hold_the_inbox(ada, held):
    with held(lambda: notify(ada, "announcement", "slow")):
        for number in range(5):
            notify(ada, "announcement", str(number))
            assert len(assign_revisions([ada.pk])) == 1


def test_the_sweep_finds_what_a_killed_process_left(ada, held):
    with held(lambda: notify(ada, "announcement", "slow")):
        assert inboxes.pending_users(older_than=timedelta(0)) == []
    assert inboxes.pending_users(older_than=timedelta(0)) == [ada.pk]


# --- Somebody holds an inbox ---------------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch):
    """A stamp waits for an inbox for as long as the test takes."""
    monkeypatch.setattr(sequencing, "LOCK_SECONDS", 60)


def lock_inbox(user):
    list(Inbox.objects.filter(user=user).select_for_update())


def test_whose_inbox_is_held_holds_nobody_else_up(ada, grace, held, threads, caplog):
    notify_many([ada, grace], "announcement", "Hello")
    with held(lambda: lock_inbox(ada)):
        # Ended while the inbox is held.
        assert [
            (assigned.user_id, assigned.revision) for assigned in assign_revisions([ada.pk, grace.pk])
        ] == [(grace.pk, 1)]
    assert "notifications of 1 users stay pending" in caplog.text
    assert [(each.user_id, each.revision) for each in assign_revisions([ada.pk, grace.pk])] == [(ada.pk, 1)]


@pytest.mark.usefixtures("patient")
def test_an_inbox_that_is_held_is_waited_for_and_others_are_told_meanwhile(ada, grace, held, threads):
    notify_many([ada, grace], "announcement", "Hello")
    assigned: list[tuple[int, int]] = []

    def hear(sender, revisions, **kwargs):
        assigned.extend((revision.user_id, revision.revision) for revision in revisions)

    revisions_assigned.connect(hear)
    try:
        with held(lambda: lock_inbox(ada)):
            threads.start(lambda: assign_revisions([ada.pk, grace.pk]))
            until(waits_for_a_lock)
            assert assigned == [(grace.pk, 1)]
        threads.join()
    finally:
        revisions_assigned.disconnect(hear)
    assert assigned == [(grace.pk, 1), (ada.pk, 1)]


# --- Locks and deadlocks ---------------------------------------------------------------------------------------------


def test_stamps_of_overlapping_users_do_not_deadlock(db, threads, monkeypatch):
    monkeypatch.setattr(retry, "TRIES", 1)
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
def test_locks_in_another_order_deadlock_and_are_tried_again(ada, grace, threads, caplog):
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
    revisions: list[sequencing.Revision] = []
    assert sequencing._assign_all([low, high], revisions, wait=True) == []
    thread.join(10)
    assert errors == []
    assert [(revision.user_id, revision.revision) for revision in revisions] == [(low, 1), (high, 1)]
    assert "tried again" in caplog.text
    for pk in (low, high):
        check_counts(pk)


def test_two_stamps_make_a_missing_inbox_once(threads):
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
def test_a_user_who_goes_while_the_inbox_is_made_is_ignored(ada, held, threads):
    """The users beside must not suffer for it: they share the transaction."""
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
def test_a_user_who_goes_while_a_stamp_runs_takes_everything_along(ada, grace, held, threads):
    notify_many([ada, grace], "announcement", "Hello")
    gone = grace.pk
    assigned = []
    with held(grace.delete):
        threads.start(lambda: assigned.extend(assign_revisions([ada.pk, gone])))
        until(waits_for_a_lock)
    threads.join()
    assert [revision.user_id for revision in assigned] == [ada.pk]
    assert not Notification.everything.filter(user_id=gone).exists()


# --- Dedupe, receipts and profiles under real locks -----------------------------------------------------------------


def test_the_same_key_waits_for_the_open_transaction(ada, held, threads):
    made = []
    with held(lambda: notify(ada, "announcement", "1", dedupe_key="k")):
        threads.start(lambda: made.append(notify(ada, "announcement", "2", dedupe_key="k")))
        until(waits_for_a_lock)
    threads.join()
    assert made == [None]


def test_the_same_key_goes_through_when_the_first_is_rolled_back(ada, held, threads):
    made = []
    with held(lambda: notify(ada, "announcement", "1", dedupe_key="k"), undo=True):
        threads.start(lambda: made.append(notify(ada, "announcement", "2", dedupe_key="k")))
        until(waits_for_a_lock)
    threads.join()
    assert [row.title for row in made] == ["2"]


def read(message):
    message = Message.objects.get(pk=message.pk)
    message.is_read = True
    message.save()


@pytest.mark.parametrize("undo", [False, True])
def test_two_reads_in_open_transactions_make_one_receipt(ada, grace, held, threads, undo):
    message = Message.objects.create(sender=grace, receiver=ada, content="x")
    with held(lambda: read(message), undo=undo):
        threads.start(read, message)
        until(waits_for_a_lock)
    threads.join()
    assert Notification.objects.filter(user=grace).count() == 1


def test_what_two_readers_change_is_shared_out_exactly(ada, held, threads):
    first, second = notify_many([ada, ada], "announcement", "Hello")
    changed = []
    with held(lambda: mark_read(ada, [first.pk])):
        threads.start(lambda: changed.extend(mark_read(ada)))
        until(waits_for_a_lock)
    threads.join()
    assert changed == [second.pk]


def test_a_reaper_leaves_profiles_that_another_one_holds(ada, grace, held):
    set_online([ada.pk, grace.pk])
    set_leaving([ada.pk, grace.pk], -1)
    with held(lambda: profiles.lock([ada.pk])), transaction.atomic():
        assert [profile.user_id for profile in profiles.lock_overdue()] == [grace.pk]


def test_a_profile_that_is_locked_is_waited_for(ada, held, threads):
    with held(lambda: profiles.lock([ada.pk])):
        threads.start(set_online, [ada.pk])
        until(waits_for_a_lock)
        assert UserProfile.objects.get(user=ada).is_online is False
    threads.join()
    assert UserProfile.objects.get(user=ada).is_online is True


def test_the_plan_of_a_stamp_uses_the_index_of_pending_rows(ada):
    """Its cost must not grow with the table."""
    notify_many([ada] * 3_000, "announcement", "Hello")
    assign_revisions([ada.pk])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE messaging_notification")
    notify(ada, "announcement", "Hello")
    with CaptureQueriesContext(connection) as captured:
        assign_revisions([ada.pk])
    [sql] = [query["sql"] for query in captured if "picked" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "notification_pending" in plan, plan
    assert "Seq Scan on messaging_notification" not in plan, plan
