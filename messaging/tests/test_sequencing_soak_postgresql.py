"""Many writers at once: readers by revisions miss nothing, readers by ids do (collected on PostgreSQL only)."""

import random
import threading
import time

import pytest
from django.core.management import call_command
from django.db import OperationalError, transaction

from conftest import size
from messaging.models import Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.transactions import Undo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(size(120, full=1_800))]


WRITERS = 6
# Of each writer.
TRANSACTIONS = size(30, full=600)


def write_at_random(user, seed, committed):
    """Make, read, unread and remove, in transactions of random length, 10 % of which are rolled back."""
    chance = random.Random(seed)
    for _ in range(TRANSACTIONS):
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

    writers = [threads.start(write_at_random, ada, seed, committed) for seed in range(WRITERS)]
    threads.start(stamp_on)
    threads.start(stamp_on)
    threads.start(follow)
    for writer in writers:
        writer.join(size(120, full=1_200))
    over.set()
    threads.join()
    assigned += assign_revisions([ada.pk])
    followed += follower.catch_up()

    replica = DomainReplica(ada.pk)
    for revision in sorted(assigned, key=lambda revision: revision.revision):
        replica.apply_revision(revision)
    everything = set(Notification.everything.values_list("id", flat=True))
    assert everything == set(committed)
    assert len(committed) > WRITERS * TRANSACTIONS
    assert replica == fresh_read(ada.pk) == follower
    assert set(followed) == everything, "a reader by revisions skipped a row"
    added = [shape.id for revision in assigned for shape in revision.added]
    assert len(added) == len(set(added)), "a row was new in two revisions"
    check_counts(ada.pk)
    call_command("check_inboxes")
    with capsys.disabled():
        print(
            f"\n  {len(committed)} rows by {WRITERS} threads: {replica.revision} revisions,"
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

    writers = [threads.start(write_at_random, ada, seed, committed) for seed in range(WRITERS)]
    threads.start(follow)
    for writer in writers:
        writer.join(size(120, full=1_200))
    over.set()
    threads.join()
    assert set(seen) < set(committed)
    with capsys.disabled():
        print(f"\n  a reader by ids skipped {len(set(committed) - set(seen))} of {len(committed)} rows")
