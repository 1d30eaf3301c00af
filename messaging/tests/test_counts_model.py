"""Random writers, with two clients for each user: the badge is the number of unread rows, by whatever means.

The first list of writers is promised to be right at once: the ORM in all its forms, and UPDATE and INSERT in SQL. The
second list, of fixtures and of SQL that writes the bookkeeping itself, is promised to be right after the repair.
FULL_SIZE=1 makes it longer.
"""

import contextlib
import os
import random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from conftest import size
from messaging import inboxes, notifications, pruning, repair
from messaging.dialects import triggers
from messaging.models import Inbox, Message, Notification
from messaging.notifications import assign_revisions
from messaging.tests.domain_replica import check_counts, fresh_read
from messaging.tests.rows import raw_insert, sql

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

NAMES = ("ada", "grace", "linus")
TABLE = "messaging_notification"
WRITTEN = "notification_type, title, description, level, is_read, revision, counted, pending_since"
NEW = {"notification_type": "announcement", "title": "x"}


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


class Writers:
    """Each method is a writer: it changes rows of one user, or gives them to the other one."""

    def __init__(self, user, other, seed):
        self.user, self.other, self.random = user, other, random.Random(seed)
        everything = list(Notification.everything.filter(user=user).order_by("id"))
        self.rows = self.random.sample(everything, min(2, len(everything)))
        self.ids = [row.pk for row in self.rows]
        self.living = Notification.objects.filter(pk__in=self.ids)
        self.key = self.random.choice([None, "a", "b"])

    def each(self, change):
        """Execute a statement for each of the chosen rows."""
        for pk in self.ids:
            sql(f"{change} WHERE id = {pk}")

    # --- Right at once ----------------------------------------------------------------------------------

    def notify(self):
        notifications.notify(self.user, "announcement", "x", dedupe_key=self.key)

    def notify_many(self):
        notifications.notify_many([self.user, self.other, self.user], "announcement", "x")

    def notify_ephemeral(self):
        notifications.notify(self.user, "user_online", "x")

    def mark_read(self):
        notifications.mark_read(self.user, self.ids)

    def mark_all_read(self):
        notifications.mark_read(self.user)

    def mark_unread(self):
        notifications.mark_unread(self.user, self.ids)

    def remove(self):
        notifications.remove(self.user, self.ids)

    def create(self):
        Notification.objects.create(user=self.user, is_read=self.random.random() < 0.3, **NEW)

    def get_or_create(self):
        Notification.objects.get_or_create(user=self.user, level="success", is_read=False, defaults=NEW)

    def update_or_create(self):
        for row in self.living:
            Notification.objects.update_or_create(pk=row.pk, defaults={"user": self.other, "is_read": True})

    def bulk_create(self):
        Notification.objects.bulk_create(
            [Notification(user=self.user, **NEW), Notification(user=self.other, **NEW)]
        )

    def bulk_create_ignoring_conflicts(self):
        rows = [Notification(user=self.user, dedupe_key=key, **NEW) for key in "abc"]
        Notification.objects.bulk_create(rows, ignore_conflicts=True)

    def insert_in_sql(self):
        raw_insert(self.user)

    def copy(self):
        for row in self.living:
            row.pk, row.user, row.dedupe_key, row._state.adding = None, self.other, None, True
            row.save()

    def save(self):
        for row in self.rows:
            row.is_read = not row.is_read
            row.save()

    def update(self):
        self.living.update(is_read=self.random.random() < 0.5)

    def bulk_update(self):
        for row in self.rows:
            row.is_read = not row.is_read
        Notification.objects.bulk_update(self.rows, ["is_read"])

    def update_past_the_queryset(self):
        Notification._base_manager.filter(pk__in=self.ids).update(is_read=self.random.random() < 0.5)

    def update_in_sql(self):
        self.each(f"UPDATE {TABLE} SET is_read = NOT is_read")

    def remove_in_sql(self):
        self.each(f"UPDATE {TABLE} SET removed_at = created_at")

    def restore(self):
        Notification.everything.filter(pk__in=self.ids).update(removed_at=None)

    def delete(self):
        for row in self.living:
            row.delete()

    def message(self):
        Message.objects.create(sender=self.other, receiver=self.user, content="x")

    def read_messages(self):
        for message in Message.objects.filter(receiver=self.user)[:2]:
            message.is_read = True
            message.save()

    def give_messages(self):
        Message.objects.filter(receiver=self.user).update(receiver=self.other)

    def give_by_update(self):
        self.living.update(user=self.other)

    def give_by_save(self):
        for row in self.rows:
            row.user = self.other
            row.save()

    def give_by_add(self):
        self.other.notifications.add(*self.living)

    def give_by_bulk_update(self):
        for row in self.rows:
            row.user = self.other
        Notification.objects.bulk_update(self.rows, ["user"])

    def give_by_upsert(self):
        for row in self.rows:
            row.user = self.other
        Notification.objects.bulk_create(
            self.rows, update_conflicts=True, unique_fields=["id"], update_fields=["user", "is_read"]
        )

    def give_all(self):
        self.user.notifications.update(user=self.other)

    def give_in_sql(self):
        self.each(f"UPDATE {TABLE} SET user_id = {self.other.pk}, is_read = NOT is_read")

    def swap_in_sql(self):
        sql(
            f"UPDATE {TABLE} SET user_id = {self.user.pk + self.other.pk} - user_id WHERE user_id <= {self.other.pk}"
            f" AND user_id IN ({self.user.pk}, {self.other.pk})"
        )

    def change_id_in_sql(self):
        self.each(f"UPDATE {TABLE} SET id = id + {10_000_000 + self.random.randrange(1_000_000)}")

    # --- Right after the repair --------------------------------------------------------------------------

    def past_delete(self):
        self.each(f"DELETE FROM {TABLE}")

    def past_delete_by_the_orm(self):
        Notification._base_manager.filter(pk__in=self.ids).delete()

    def past_delete_all(self):
        sql(f"DELETE FROM {TABLE}")

    def past_counted(self):
        self.each(f"UPDATE {TABLE} SET counted = NOT counted, revision = revision + 7")

    def past_unnumber(self):
        self.each(f"UPDATE {TABLE} SET revision = NULL, pending_since = NULL")

    def past_settle(self):
        sql(f"UPDATE {TABLE} SET is_read = NOT is_read WHERE user_id = {self.user.pk}")
        sql(f"UPDATE {TABLE} SET pending_since = NULL")

    def past_copy(self):
        self.each(f"INSERT INTO {TABLE} (user_id, {WRITTEN}) SELECT {self.other.pk}, {WRITTEN} FROM {TABLE}")

    def past_count(self):
        sql(f"UPDATE messaging_inbox SET unread_count = unread_count - 3 WHERE user_id = {self.user.pk}")

    def past_revision(self):
        sql(f"UPDATE messaging_inbox SET revision = 1, floor = 2 WHERE user_id = {self.user.pk}")

    def past_inbox_deleted(self):
        sql(f"DELETE FROM messaging_inbox WHERE user_id = {self.user.pk}")

    def past_inbox_given(self):
        sql(f"DELETE FROM messaging_inbox WHERE user_id = {self.other.pk}")
        sql(f"UPDATE messaging_inbox SET user_id = {self.other.pk} WHERE user_id = {self.user.pk}")


AT_ONCE = [name for name in vars(Writers) if not name.startswith(("_", "past_", "each"))]
GIVING = [name for name in AT_ONCE if name.startswith("give_")]
PAST = [name for name in vars(Writers) if name.startswith("past_")]
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

    def write(self, writer, users, seed):
        user, other = (self.users[place] for place in users)
        with transaction.atomic():
            getattr(Writers(user, other, seed), writer)()

    pairs = st.permutations(range(3)).map(lambda places: places[:2])
    seeds = st.integers(0, 1_000_000)

    @rule(writer=st.sampled_from(AT_ONCE), users=pairs, seed=seeds)
    def write_at_once(self, writer, users, seed):
        self.write(writer, users, seed)

    @rule(writer=st.sampled_from(PAST), users=pairs, seed=seeds)
    def write_past(self, writer, users, seed):
        self.past = True
        self.write(writer, users, seed)

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
def people(ada, grace, linus):
    if connection.vendor == "sqlite":
        # A file system that is busy makes each commit ten times as slow.
        sql("PRAGMA synchronous = OFF")


def test_whoever_writes_every_badge_is_right():
    run(Counts, size(10, full=1_000))


class GivingAway(Counts):
    """Notifications that are created and given away, without fixtures and without SQL that writes the bookkeeping."""

    write_past: Any = None
    load_fixture: Any = None

    @rule(writer=st.sampled_from([*GIVING, "notify_many"]), users=Counts.pairs, seed=Counts.seeds)
    def write_at_once(self, writer, users, seed):
        self.write(writer, users, seed)


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


def test_without_the_repair_it_notices():
    """Negative control."""
    with pytest.raises(AssertionError):
        run(WithoutRepair, 200)
