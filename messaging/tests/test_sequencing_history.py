"""Random histories of one inbox: a client that applies the revisions has what a fresh read has."""

import random

import pytest
from django.db import transaction

from messaging.events import revisions_assigned
from messaging.models import Message, Notification
from messaging.notifications import assign_revisions, mark_read, mark_unread, notify, notify_many, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.rows import raw_insert, sql
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


class History:
    """Random operations on one inbox, and what a client makes of the revisions assigned."""

    def __init__(self, user, other, seed):
        self.user, self.other = user, other
        self.random = random.Random(seed)
        self.replica = DomainReplica(user.pk)
        self.past = [self.replica.copy()]
        revisions_assigned.connect(self.apply)

    def apply(self, sender, revisions, **kwargs):
        for revision in revisions:
            if revision.user_id == self.user.pk:
                self.replica.apply_revision(revision)
                self.past.append(self.replica.copy())

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
        """Do one random thing to the inbox, by any of the ways there are."""
        user, chance = self.user, self.random
        new = {"notification_type": "announcement", "title": "x"}
        changes = [
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
        chance.choice(changes)()

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
        assign_revisions([self.user.pk, self.other.pk])
        assert self.replica == fresh_read(self.user.pk)
        check_counts(self.user.pk)
        check_counts(self.other.pk)
        behind = self.random.choice(self.past).copy()
        behind.catch_up()
        assert behind == self.replica


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_a_client_has_what_a_fresh_read_has(ada, grace, seed):
    check_history(ada, grace, seed)


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_of_rows_numbered_at_once_too(ada, grace, seed, numbered):
    check_history(ada, grace, seed)


def check_history(ada, grace, seed):
    history = History(ada, grace, seed)
    for _ in range(60):
        history.step()
    history.assign()
    assert history.replica.revision > 3
    for past in history.past:
        past.catch_up()
        assert past == history.replica


def test_the_history_test_notices_a_change_without_a_revision(ada, grace):
    """Negative control: with an update that is marked pending no longer, client and server diverge."""
    history = History(ada, grace, 1)
    row = notify(ada, "announcement", "x")
    history.assign()
    sql("UPDATE messaging_notification SET is_read = %s WHERE id = %s", True, row.pk)
    sql("UPDATE messaging_notification SET pending_since = NULL")
    with pytest.raises(AssertionError):
        history.assign()
