"""Many writers at once, whose rows are numbered at once or after commit: revisions are without gaps, and in order.

(Collected on PostgreSQL only, by conftest.py.)
"""

import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from conftest import size
from messaging import numbered_insertion, stored_functions
from messaging.events import revisions_assigned
from messaging.models import Inbox, Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.sequencing import ROWS_PER_REVISION, assign_step
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("numbered"),
    pytest.mark.timeout(size(120, full=1_800)),
]

WRITERS, PEOPLE = 6, 12
INSERTS = ((numbered_insertion, "_statement"), (stored_functions, "insert_body"))
NUMBERING = ((stored_functions, "number_body"),)
# Of each writer.
CALLS = size(100, full=1_500)


def make_people(model, name="racer"):
    made = [model.objects.create_user(f"{name}{number}") for number in range(PEOPLE)]
    Inbox.objects.filter(user__in=made[:2]).delete()
    Inbox.objects.bulk_create([Inbox(user=user) for user in made[2:]], ignore_conflicts=True)
    return made


@pytest.fixture
def people(django_user_model):
    return make_people(django_user_model)


class Race:
    """Writers, and every revision that any of them has received."""

    def __init__(self, people):
        self.people = people
        self.revisions = defaultdict(list)
        self.errors = []
        self._lock = threading.Lock()
        revisions_assigned.connect(self.note)

    def note(self, sender, revisions, **kwargs):
        with self._lock:
            for revision in revisions:
                self.revisions[revision.user_id].append(revision)

    def write(self, number):
        """Notify one or several, at once or in transactions; mark, remove, assign."""
        chance, place = random.Random(number), Counter[int]()
        for _ in range(CALLS):
            some = chance.sample(self.people, chance.choice([1, 1, 1, 3, PEOPLE]))
            what = chance.random()
            try:
                if what < 0.6:
                    self.notify(number, some, place, chance)
                elif what < 0.8:
                    with transaction.atomic():
                        self.notify(number, some, place, chance)
                        time.sleep(chance.random() * 0.01)
                elif what < 0.9:
                    # (A row that is marked before its first revision may be overtaken, while that holds it.)
                    old = Notification.objects.filter(user=some[0], revision__isnull=False)
                    ids = list(old.values_list("pk", flat=True)[:40])
                    chance.choice([mark_read, mark_unread, remove])(
                        some[0], chance.sample(ids, len(ids) // 8)
                    )
                elif what < 0.96:
                    # As the relay, for few rows: in one call.
                    assign_step(sorted(user.pk for user in some), rows=ROWS_PER_REVISION)
                else:
                    assign_revisions([user.pk for user in some])
            except OperationalError as error:
                self.errors.append(error)

    def notify(self, number, users, place, chance):
        key = f"k{chance.randrange(400)}" if chance.random() < 0.3 else None
        # The title: its writer, and a number that rises for this writer and user; a duplicate leaves a gap.
        place[number] += 1
        title = f"{number}:{place[number]}"
        if len(users) == 1 and key is None:
            notify(users[0], "announcement", title)
        else:
            notify_many(users, "announcement", title, dedupe_key=key)

    def faults(self):
        """What is wrong afterwards, by kind."""
        found = Counter[str]()
        for user in self.people:
            revisions = sorted(self.revisions[user.pk], key=lambda one: one.revision)
            numbers = [one.revision for one in revisions]
            inbox = Inbox.objects.get(user=user)
            if numbers != list(range(1, inbox.revision + 1)):
                found["gaps"] += 1
                continue
            replica, last = DomainReplica(user.pk), Counter[int]()
            for revision in revisions:
                for shape in sorted(revision.added, key=lambda one: one.id):
                    writer, place = map(int, shape.title.split(":"))
                    found["out of order"] += last[writer] > place
                    last[writer] = place
                try:
                    replica.apply_revision(revision)
                except AssertionError:
                    found["a frame that doesn't fit"] += 1
            try:
                check_counts(user.pk)
                assert replica == fresh_read(user.pk)
            except AssertionError:
                found["another state than a fresh read"] += 1
        return +found


def race(people, threads, kind=Race):
    running = kind(people)
    writers = [threads.start(running.write, number) for number in range(WRITERS)]
    for writer in writers:
        writer.join(size(120, full=1_200))
    assign_revisions([user.pk for user in people])
    revisions_assigned.disconnect(running.note)
    return running


@contextmanager
def statements_without(part, instead="", texts=INSERTS):
    """Negative control: the statement for many rows, and the function for one, without a part of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in texts:
            right = getattr(module, name)

            def wrong(*args, right=right):
                text = right(*args)
                assert part in text
                return text.replace(part, instead)

            patch.setattr(module, name, wrong)
        stored_functions.create(connection)
        yield
    stored_functions.create(connection)


def test_revisions_have_no_gaps_and_rows_are_in_order(people, threads, capsys):
    done = race(people, threads)
    assert done.faults() == {}
    assert done.errors == []
    call_command("check_inboxes")
    rows, revisions = Notification.everything.count(), sum(map(len, done.revisions.values()))
    assert rows > WRITERS * CALLS
    with capsys.disabled():
        print(f"\n  {rows} rows by {WRITERS} writers, {revisions} revisions: no fault")


@pytest.mark.parametrize(
    ("texts", "part", "instead", "faults"),
    [
        (INSERTS, "FOR UPDATE OF i SKIP LOCKED", "", {"gaps"}),
        (INSERTS, "p.pending_since IS NOT NULL", "FALSE", {"out of order"}),
        (NUMBERING, "ORDER BY user_id FOR UPDATE SKIP LOCKED", "ORDER BY user_id", {"gaps"}),
    ],
    ids=["without a lock", "before what is pending", "numbering without a lock"],
)
def test_without_a_rule_there_are_faults(django_user_model, threads, texts, part, instead, faults):
    """Negative control. A race may go well by chance: of five one has to go wrong."""
    with statements_without(part, instead, texts):
        people = (make_people(django_user_model, f"racer{number}-") for number in range(5))
        assert any(race(those, threads).faults().keys() & faults for those in people)


def test_an_inner_join_would_lose_rows(people, monkeypatch):
    """Negative control: of those who have no inbox yet."""
    right = numbered_insertion._statement
    with monkeypatch.context() as patch:
        inner = lambda source: right(source).replace("LEFT JOIN locked", "JOIN locked")  # noqa: E731
        patch.setattr(numbered_insertion, "_statement", inner)
        assert len(notify_many(people, "announcement", "1:1")) < PEOPLE
    assert len(notify_many(people, "announcement", "1:2")) == PEOPLE


# --- What it waits for ------------------------------------------------------------------------------------------------


def test_a_locked_inbox_is_not_waited_for(people, held):
    locked, free = people[-2:]
    with held(lambda: Inbox.objects.select_for_update().get(user=locked)):
        notify(locked, "announcement", "1:1")
        notify_many([locked, free], "announcement", "1:2")
        assert not waits_for_a_lock()
        assert [user.notifications.filter(revision=None).count() for user in (locked, free)] == [2, 0]
    assign_revisions([locked.pk])
    check_counts(locked.pk)


def test_what_else_is_locked_is_waited_for_as_in_a_transaction_but_no_inbox_meanwhile(people, threads, held):
    """The same dedupe_key in an open transaction: the inbox is free while the insert waits for it."""
    user = people[-1]
    with held(lambda: notify(user, "announcement", "1:1", dedupe_key="k")):
        waiting = threads.start(lambda: notify(user, "announcement", "2:1", dedupe_key="k"))
        until(waits_for_a_lock)
        time.sleep(2 * stored_functions.LOCK_SECONDS)
        until(waits_for_a_lock)
        with transaction.atomic():
            Inbox.objects.select_for_update(nowait=True).get(user=user)
    waiting.join(10)
    assert user.notifications.count() == 1


@pytest.mark.parametrize(
    "rule", ["FOR UPDATE SKIP LOCKED\n    ), picked", "), picked"], ids=["", "without it"]
)
def test_numbering_in_one_call_leaves_a_row_that_an_open_transaction_holds(people, held, rule):
    locked, free = sorted(people[-2:], key=lambda user: user.pk)
    with transaction.atomic():
        row, other = notify_many([locked, free], "announcement", "1:1")
    keys = [locked.pk, free.pk]
    with statements_without("FOR UPDATE SKIP LOCKED\n    ), picked", rule, NUMBERING):
        with held(lambda: mark_read(locked, [row.pk])):
            step = assign_step(keys, rows=ROWS_PER_REVISION)
            if rule == "), picked":
                # Negative control: it waits, until it gives up for all.
                assert (step.revisions, step.locked) == ([], keys)
                return
            assert [one.added[0].id for one in step.revisions] == [other.pk]
            assert (step.unserved, step.unfinished, step.locked) == ([], [], [])
        (revision,) = assign_step(keys, rows=ROWS_PER_REVISION).revisions
        assert (revision.added[0].id, revision.added[0].is_read, revision.unread_count) == (row.pk, True, 0)


def test_numbering_in_one_call_is_that_of_several(people, monkeypatch):
    """Also where rows are left over, an inbox is missing or locked, and nothing is pending."""
    users = sorted(people[-4:], key=lambda user: user.pk)
    keys, steps = [user.pk for user in users], []
    for several in (False, True):
        if several:
            monkeypatch.setattr(stored_functions, "number", lambda *args: None)
        with transaction.atomic():
            notify_many([users[0]] * 3 + [users[1]] * 3 + [users[2]], "announcement", "x", actor=users[3])
        taken = []
        for limit in (4, 4, 4):
            step = assign_step(keys, rows=limit)
            shapes = [
                (one.user_id, len(one.added), {shape.actor.username for shape in one.added})
                for one in step.revisions
            ]
            taken.append((shapes, step.unserved, step.unfinished, step.locked))
        steps.append(taken)
        for user in users:
            check_counts(user.pk)
    assert steps[0] == steps[1]
    assert steps[0][0][1:] == (keys[2:], [keys[1]], [])


@pytest.mark.parametrize(
    ("columns", "in_one_call"),
    [
        ((*stored_functions.NUMBERED_COLUMNS, "dedupe_key"), True),
        (stored_functions.NUMBERED_COLUMNS[:-1], False),
    ],
    ids=["a later version's, of more columns", "an earlier one's, of fewer"],
)
def test_rows_are_numbered_while_the_function_is_another_versions(people, monkeypatch, columns, in_one_call):
    user = people[-1]
    with transaction.atomic():
        row = notify(user, "announcement", "1:1")
    with monkeypatch.context() as patch:
        patch.setattr(stored_functions, "NUMBERED_COLUMNS", columns)
        stored_functions.create(connection)
    assert not stored_functions.exist(connection)
    try:
        found = stored_functions.number([user.pk], ROWS_PER_REVISION)
        assert [one["id"] for one in found or []] == [row.pk] * in_one_call
        if not in_one_call:
            (revision,) = assign_step([user.pk], rows=ROWS_PER_REVISION).revisions
            assert (revision.added[0].id, revision.unread_count) == (row.pk, 1)
        check_counts(user.pk)
    finally:
        stored_functions.create(connection)


def test_the_limit_ends_with_the_statement(people):
    notify(people[-1], "announcement", "1:1")
    notify_many(people, "announcement", "1:2")
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
