"""Random writers, with two clients for each user: the badge is the number of unread rows, by whatever means.

The first list of writers is promised to be right at once: the ORM in all its forms, and UPDATE and INSERT in SQL. The
second list, of fixtures and of SQL that writes the bookkeeping itself, is promised to be right after the repair.
FULL_SIZE=1 makes it longer.
"""

import contextlib
import os
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from conftest import size
from messaging import inboxes, models, pruning, repair
from messaging.dialects import triggers
from messaging.models import Inbox, Message, Notification
from messaging.notifications import assign_revisions
from messaging.orm import querysets
from messaging.tests.domain_replica import check_counts, fresh_read
from messaging.tests.grouped import declare
from messaging.tests.rows import sql
from messaging.tests.writers import AT_ONCE, GIVING, GROUPING, PAST, TABLE, Writers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(4 * 3600)]

NAMES = ("ada", "grace", "linus")


class Client:
    """A page: it applies what it missed, or reads its list again where docs/protocol.md says so."""

    def __init__(self, user_id):
        self.user_id, self.revision, self.epoch, self.rows = user_id, 0, None, {}
        self.catch_up()

    def catch_up(self):
        missed = inboxes.missed({self.user_id: self.revision})[self.user_id]
        if missed.epoch != self.epoch or not missed.floor <= self.revision <= missed.revision:
            self.epoch = missed.epoch
            self.rows = dict(Notification.objects.filter(user_id=self.user_id).values_list("id", "is_read"))
        else:
            for row in missed.rows:
                if row.notification is None:
                    self.rows.pop(row.id, None)
                else:
                    self.rows[row.id] = row.notification.is_read
        self.revision, self.unread_count = missed.revision, missed.unread_count


DUMPED: dict[str, list[Any]] = {
    "rows": [Notification.everything.all],
    "inboxes": [Inbox.objects.all],
    "both": [Inbox.objects.all, Notification.everything.all],
    "both, rows first": [Notification.everything.all, Inbox.objects.all],
}


class Counts(RuleBasedStateMachine):
    """`past`: whether a writer of the second list has written, and nothing was repaired since."""

    def __init__(self):
        super().__init__()
        sql(f"DELETE FROM {TABLE}")
        Inbox.objects.all().delete()
        Message.objects.all().delete()
        self.users = list(User.objects.filter(username__in=NAMES).order_by("pk"))
        self.ids = [user.pk for user in self.users]
        assign_revisions(self.ids)
        self.clients = [Client(pk) for pk in self.ids * 2]
        self.dump, self.past, self.rotation = [], False, repair.Rotation()
        self.read = {}

    def write(self, writer, users, seed):
        user, other = (self.users[place] for place in users)
        try:
            with transaction.atomic():
                getattr(Writers(user, other, seed, self.read), writer)()
        except IntegrityError as error:
            # An instance that was read before another row got its dedupe_key: nothing is written.
            if "dedupe_key" not in str(error):
                raise

    pairs = st.permutations(range(3)).map(lambda places: places[:2])
    seeds = st.integers(0, 1_000_000)

    @rule(writer=st.sampled_from(AT_ONCE), users=pairs, seed=seeds)
    def write_at_once(self, writer, users, seed):
        self.write(writer, users, seed)

    @rule(writer=st.sampled_from(PAST), users=pairs, seed=seeds)
    def write_past(self, writer, users, seed):
        self.past = True
        self.write(writer, users, seed)

    @rule()
    def read_rows(self):
        self.read = Notification.everything.in_bulk()

    @rule(what=st.sampled_from(sorted(DUMPED)))
    def dump_fixture(self, what):
        self.dump = [serializers.serialize("json", queryset()) for queryset in DUMPED[what]]

    @precondition(lambda self: self.dump)
    @rule()
    def load_fixture(self):
        self.past = True
        # A fixture whose keys the database has on other rows fails, as a whole.
        with contextlib.suppress(IntegrityError), transaction.atomic():
            for text in self.dump:
                for entry in serializers.deserialize("json", text):
                    entry.save()

    @rule(place=st.integers(0, 5))
    def one_client_catches_up(self, place):
        client = self.clients[place]
        assign_revisions([client.user_id])
        client.catch_up()
        if not self.past:
            self.check(client)

    def check(self, client):
        assert client.rows == fresh_read(client.user_id).read_marks
        self.check_badge(client)

    def check_badge(self, client):
        assert (
            client.unread_count == Notification.objects.filter(user_id=client.user_id, is_read=False).count()
        )

    @rule()
    def teardown(self):
        assign_revisions(self.ids)
        if self.past:
            self.repair()
            for client in self.clients:
                client.catch_up()
                self.check_badge(client)
            # Rows that no count misses: docs/operations.md names the command.
            assert sum(pruning.rotate_epochs()) == 3
            self.past = False
        for client in self.clients:
            client.catch_up()
            self.check(client)
        for pk in self.ids:
            check_counts(pk)

    def repair(self):
        # Contradictory rows in the first round; the counts, once they have a revision, in the same.
        self.rotation.repair(self.ids)


def run(machine, examples):
    options = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        derandomize=not os.environ.get("FULL_SIZE"),
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    run_state_machine_as_test(machine, settings=options)


@pytest.fixture(autouse=True)
def people(ada, grace, linus, monkeypatch):
    declare(monkeypatch)
    if connection.vendor == "sqlite":
        # A file system that is busy makes each commit ten times as slow.
        sql("PRAGMA synchronous = OFF")


def test_whoever_writes_every_badge_is_right():
    run(Counts, size(10, full=1_000))


class InGroups(Counts):
    """Every other writer writes rows of groups."""

    @rule(writer=st.sampled_from([*AT_ONCE, *GROUPING * len(AT_ONCE)]), users=Counts.pairs, seed=Counts.seeds)
    def write_at_once(self, writer, users, seed):
        self.write(writer, users, seed)


def test_also_with_groups():
    run(InGroups, size(10, full=1_000))


class GivingAway(Counts):
    """Notifications that are created and given away, without fixtures and without SQL that writes the bookkeeping."""

    write_past: Any = None
    load_fixture: Any = None
    # What changes nothing leaves more steps to what does.
    dump_fixture: Any = None
    read_rows: Any = None

    @rule(
        writer=st.sampled_from([*GIVING, "notify_many"]),
        users=Counts.pairs,
        seed=Counts.seeds,
    )
    def write_at_once(self, writer, users, seed):
        self.write(writer, users, seed)


class Stale(Counts):
    """Rows are numbered between the reading of instances and their saving."""

    write_past: Any = None
    load_fixture: Any = None


class WithoutRepair(Counts):
    def repair(self):
        pass


def test_without_the_triggers_it_notices():
    """Negative control: the ORM and UPDATE alone, as they would be without the triggers."""
    triggers.drop(connection)
    try:
        with pytest.raises(AssertionError):
            run(GivingAway, 200)
    finally:
        triggers.create(connection)


def test_with_columns_of_stale_instances_it_notices(monkeypatch):
    """Negative control: saves that write the bookkeeping that an instance has read."""
    monkeypatch.setattr(querysets, "NUMBERING", frozenset())
    monkeypatch.setattr(models, "NUMBERING", frozenset())
    with pytest.raises(AssertionError):
        run(Stale, 200)


def test_without_the_repair_it_notices():
    """Negative control."""
    with pytest.raises(AssertionError):
        run(WithoutRepair, 200)
