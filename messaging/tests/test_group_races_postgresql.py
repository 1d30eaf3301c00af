"""Groups that collapse while others write, mark, remove and read: nobody waits for a row, and every state is right."""

import random
import time
from collections import defaultdict
from dataclasses import replace

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from conftest import size
from messaging import inboxes
from messaging.exceptions import UnknownUser
from messaging.models import Inbox, Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.orm import retry
from messaging.sequencing import ROWS_PER_REVISION, assign_step
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.grouped import COMMENT, check_groups, comment, comments, declare, rows
from messaging.tests.test_deadlocks_postgresql import quick_deadlocks  # noqa: F401  # a fixture
from messaging.tests.test_numbered_races_postgresql import (
    CALLS,
    PEOPLE,
    WRITERS,
    Race,
    people,  # noqa: F401  # a fixture
    race,
)
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("numbered"),
    pytest.mark.timeout(size(120, full=1_800)),
]


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    declare(monkeypatch)


class GroupRace(Race):
    """Its writers notify of groups as well, and mark, remove and read whatever they see."""

    def write(self, number):
        chance = random.Random(number)
        for _ in range(CALLS):
            some = chance.sample(self.people, chance.choice([1, 1, 3, len(self.people)]))
            chance.choice([self.comment, self.comment, self.together, self.change, self.change, self.assign])(
                some, chance
            )

    def comment(self, some, chance):
        data = {"page": chance.choice("ab")}
        notify_many(
            [user for user in some for _ in range(chance.choice([1, 1, 5]))], "comment", "x", data=data
        )

    def together(self, some, chance):
        with transaction.atomic():
            self.comment(some, chance)
            notify(some[0], "announcement", "x")
            self.change(some, chance)
            time.sleep(chance.random() * 0.01)

    def change(self, some, chance):
        shown = list(Notification.objects.filter(user=some[0]).values_list("pk", flat=True)[:20])
        what = chance.choice([mark_read, mark_unread, remove])
        what(some[0], chance.sample(shown, len(shown) // 2))

    def assign(self, some, chance):
        ids = sorted(user.pk for user in some)
        if chance.random() < 0.5:
            assign_step(ids, rows=ROWS_PER_REVISION)
        else:
            inboxes.state(ids[0])

    def check(self):
        for user in self.people:
            revisions = sorted(self.revisions[user.pk], key=lambda one: one.revision)
            assert [one.revision for one in revisions] == list(
                range(1, Inbox.objects.get(user=user).revision + 1)
            )
            replica, titles = DomainReplica(user.pk), defaultdict(set)
            for revision in revisions:
                replica.apply_revision(revision)
                for shape in revision.added:
                    titles[shape.id].add(shape.title)
            assert replica == fresh_read(user.pk)
            check_counts(user.pk)
            for pk, title in Notification.objects.filter(user=user).values_list("pk", "title"):
                assert titles[pk] == {title}
        check_groups()


@pytest.fixture
def no_retry(monkeypatch):
    monkeypatch.setattr(retry, "MAX_ATTEMPTS", 1)


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_every_state_is_right_and_nothing_deadlocks(people, threads, capsys):  # noqa: F811
    done = race(people, threads, kind=GroupRace)
    done.check()
    call_command("check_inboxes")
    found = Notification.everything.filter(notification_type="comment")
    collapsed = found.filter(collapsed_into_id__isnull=False).count()
    assert collapsed > WRITERS * CALLS // 10
    with capsys.disabled():
        print(f"\n  {found.count()} rows of groups, {collapsed} collapsed: no fault")


class DeletionRace(GroupRace):
    """Half of the people, who are actors as well, are deleted meanwhile. Caught is what the API answers with 4xx."""

    def __init__(self, *args):
        super().__init__(*args)
        self.doomed, self.deleted = self.people[: PEOPLE // 2], []

    def write(self, number):
        if number == 0:
            self.delete()
        super().write(number)

    def delete(self):
        chance = random.Random(0)
        while self.doomed:
            time.sleep(chance.random() * 0.2)
            user = self.doomed.pop()
            self.deleted.append(user.pk)
            # (An instance loses its key.)
            type(user).objects.get(pk=user.pk).delete()

    def comment(self, some, chance):
        page, actor = chance.choice("ab"), chance.choice(self.people)
        try:
            comment(some[0], page=page, actor=actor)
        except UnknownUser:
            assert some[0].pk in self.deleted
        notify_many(some, "comment", "x", data={"page": page}, actor=actor)

    def together(self, some, chance):
        with transaction.atomic():
            # One call: of a caller's transaction with several, nobody but the caller knows the order of locks.
            notify_many(some, "comment", "x", data={"page": "a"}, actor=chance.choice(self.people))
            time.sleep(chance.random() * 0.01)

    def assign(self, some, chance):
        try:
            super().assign(some, chance)
        except Inbox.DoesNotExist:
            assert set(self.deleted) & {user.pk for user in some}

    def check(self):
        assert len(self.deleted) == PEOPLE // 2
        for model in (Notification, Inbox):
            assert not model._base_manager.filter(user__in=self.deleted).exists()
        self.people = [user for user in self.people if user.pk not in self.deleted]
        assert not Notification.everything.filter(actor__in=self.deleted).exists()
        super().check()


@pytest.mark.usefixtures("no_retry", "quick_deadlocks")
def test_users_are_deleted_while_groups_of_theirs_are_numbered(people, threads, monkeypatch):  # noqa: F811
    declare(monkeypatch, replace(COMMENT, group_title="%(actor)s and others: %(count)d"))
    race(people, threads, kind=DeletionRace).check()
    call_command("check_inboxes")


def test_a_user_who_is_being_deleted_holds_up_no_group(people, held, assigned):  # noqa: F811
    """Neither their own nor one of which they are the actor: no row is updated twice, which would check its users."""
    user, actor = people[-2:]
    comment(user, "first")
    assigned(user)
    comment(user, "second", actor=actor)
    notify(user, "announcement", "x", actor=actor)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
        with held(lambda: list(type(user).objects.select_for_update().filter(pk__in=[user.pk, actor.pk]))):
            (revision,) = assigned(user)
        # The pool's next user of this connection has none.
        cursor.execute("RESET lock_timeout")
    assert (len(revision.added), len(revision.removed), revision.unread_count) == (2, 1, 2)


def test_one_that_an_open_transaction_holds_stays_beside_its_group(people, held, assigned):  # noqa: F811
    user = people[-1]
    first = comment(user, "first")
    assigned(user)
    comment(user, "second")
    with held(lambda: mark_read(user, [first.pk])):
        (revision,) = assigned(user)
    assert (revision.removed, revision.unread_count) == ([], 2)
    assigned(user)
    assert rows(user) == [("second", 1, False), ("first", 1, True)]
    check_counts(user.pk)


def test_without_that_rule_the_inbox_is_held_up(people, held, threads, assigned, monkeypatch):  # noqa: F811
    """Negative control."""
    lock = QuerySet.select_for_update
    monkeypatch.setattr(
        QuerySet, "select_for_update", lambda self, skip_locked=False, **options: lock(self, **options)
    )
    user = people[-1]
    first = comment(user, "first")
    assigned(user)
    comment(user, "second")
    with held(lambda: mark_read(user, [first.pk])):
        waiting = threads.start(assigned, user)
        until(waits_for_a_lock)
    waiting.join(10)


def test_members_are_read_without_the_rows_of_others(ada, people, as_user, assigned):  # noqa: F811
    """Whatever the database expects of their number: it never looks for the newest of them among all rows."""
    comments(ada, 2_000)
    assigned(ada)
    # So many that a sequential scan is dearer than looking up a page of members.
    for page in range(200):
        notify_many(people * 10, "comment", "x", data={"page": str(page)})
    assign_revisions([user.pk for user in people])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE messaging_notification")
    (group,) = Notification.objects.filter(user=ada)
    with CaptureQueriesContext(connection) as captured:
        assert as_user(ada).get(f"notifications/{group.pk}/members")["next"] is not None
    [statement] = [query["sql"] for query in captured if "RECURSIVE" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}")
        plan = cursor.fetchone()[0][0]["Plan"]
    assert rows_read(plan, without="Recursive Union") <= 51, plan


def rows_read(plan, without):
    """Notifications that a plan reads, but for those in nodes of this type."""
    if plan["Node Type"] == without:
        return 0
    own = 0
    if plan.get("Relation Name") == Notification._meta.db_table:
        own = plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    return own + sum(rows_read(each, without) for each in plan.get("Plans", ()))


def test_a_group_is_read_by_the_numbering_in_several_calls(people):  # noqa: F811
    """The function for few rows leaves a new one of a group, and takes all that is marked afterwards."""
    user = people[-1]
    comment(user)
    comment(user)
    assert [one.added[0].count for one in assign_step([user.pk], rows=ROWS_PER_REVISION).revisions] == [2]
    assert assign_step([user.pk], rows=ROWS_PER_REVISION).revisions == []
    remove(user, Notification.objects.filter(user=user))
    (revision,) = assign_step([user.pk], rows=ROWS_PER_REVISION).revisions
    assert (len(revision.removed), revision.unread_count) == (1, 0)
