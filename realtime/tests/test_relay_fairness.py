"""One user's flood, and what it costs the others."""

import threading
import time

import pytest

from messaging import sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox
from messaging.notifications import notify, notify_many
from messaging.tests.transactions import until
from realtime.outbound import receivers
from realtime.outbound.relay import relay

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unnumbered")]


@pytest.fixture
def filled(ada, monkeypatch):
    """An inbox whose writer doesn't stop: more than a step takes follows each time that some got their revisions."""
    monkeypatch.setattr(sequencing, "ROWS_PER_REVISION", 10)
    stop = threading.Event()

    def fill(sender, revisions, **kwargs):
        if not stop.is_set() and ada.pk in {revision.user_id for revision in revisions}:
            notify_many([ada] * 20, "announcement", "More")

    revisions_assigned.connect(fill)
    notify_many([ada] * 20, "announcement", "First")
    yield stop
    stop.set()
    assert receivers.flush(20)
    revisions_assigned.disconnect(fill)


def test_an_inbox_that_is_being_filled_delays_no_other_user(published, ada, grace, linus, filled):
    for number in range(1, 6):
        for user in (grace, linus):
            notify(user, "announcement", "Hello")
            until(lambda user=user, number=number: published.revisions(user) == list(range(1, number + 1)))
    # ada's rows are still being numbered. (During a step of theirs the queue is empty.)
    until(lambda: bool(relay._users))
    filled.set()
    assert receivers.flush(20)
    # In order, though other users had their turns in between.
    assert published.revisions(ada) == list(range(1, Inbox.objects.get(user=ada).revision + 1))


def test_a_step_of_the_relay_numbers_one_revision_of_a_user(published, ada, filled):
    steps = []

    def count(sender, revisions, **kwargs):
        steps.append(len(revisions))

    revisions_assigned.connect(count)
    until(lambda: len(steps) > 3)
    filled.set()
    assert receivers.flush(20)
    revisions_assigned.disconnect(count)
    assert set(steps) == {1}


def test_numbering_until_nothing_is_pending_delays_everybody(published, ada, grace, filled, monkeypatch):
    """Negative control."""
    assign = sequencing.assign_step

    def assign_all(user_ids, **options):
        step = assign(user_ids, **options)
        while step.unfinished:
            step = assign(step.unserved + step.unfinished, **options)
        return step

    monkeypatch.setattr(sequencing, "assign_step", assign_all)
    time.sleep(0.2)
    notify(grace, "announcement", "Hello")
    before = Inbox.objects.get(user=ada).revision
    until(lambda: Inbox.objects.get(user=ada).revision > before + 20)
    assert published.revisions(grace) == []
