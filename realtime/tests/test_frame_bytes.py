"""No frame passes the contract's 512 KiB, with as much data as rows may have, whatever has numbered them."""

import pytest
from django.db import transaction

from messaging import inboxes, sequencing
from messaging.events import revisions_assigned
from messaging.models import Inbox, Notification
from messaging.notifications import mark_read, notify_many
from messaging.tests.domain_replica import check_counts
from realtime import protocol
from realtime.delivery import replay
from realtime.delivery.position import ResumeRequest
from realtime.http.asyncapi import MAX_FRAME_BYTES
from realtime.outbound import receivers

pytestmark = pytest.mark.django_db(transaction=True)

# As JSON 4 KiB, of which nearly every character takes three bytes.
DATA = {"text": "語" * 1_361}
TEXTS = ("通" * 200, "知" * 500)


def frame_of(revision):
    return protocol.InboxFrame(
        revision=revision.revision,
        unread_count=revision.unread_count,
        replayed=False,
        added=revision.added,
        read=revision.read,
        unread=revision.unread,
        removed=revision.removed,
    )


@pytest.fixture
def revisions():
    taken: list[sequencing.Revision] = []

    def listen(sender, revisions, **kwargs):
        taken.extend(revisions)

    revisions_assigned.connect(listen, weak=False)
    yield taken
    revisions_assigned.disconnect(listen)


def at_once(ada):
    notify_many([ada] * 100, "announcement", *TEXTS, data=DATA)
    sequencing.assign_revisions([ada.pk])


def after_commit(ada):
    with transaction.atomic():
        notify_many([ada] * 250, "announcement", *TEXTS, data=DATA)
    sequencing.assign_revisions([ada.pk])


def by_the_relay(ada):
    with transaction.atomic():
        notify_many([ada] * 150, "announcement", *TEXTS, data=DATA)
    users = [ada.pk]
    while users:
        step = sequencing.assign_step(users, rows=sequencing.ROWS_PER_REVISION)
        # (The relay, which has heard of them, too, may hold the inbox.)
        users = [*step.unserved, *step.unfinished, *step.locked]


@pytest.mark.parametrize("way", [at_once, after_commit, by_the_relay])
def test_no_frame_is_larger_than_the_contract_says(way, ada, revisions):
    way(ada)
    # The relay assigns beside it, and announces in a thread of its own: a hub puts them in order.
    assert receivers.flush(20)
    revisions.sort(key=lambda revision: revision.revision)
    assert not Notification.objects.filter(pending_since__isnull=False).exists()
    total = Notification.objects.count()
    numbers = [revision.revision for revision in revisions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert Inbox.objects.get(user=ada).revision == numbers[-1]
    assert sum(len(revision.added) for revision in revisions) == total
    frames = [frame_of(revision).encode() for revision in revisions]
    mark_read(ada)
    sequencing.assign_revisions([ada.pk])
    check_counts(ada.pk)
    missed = inboxes.missed({ada.pk: 0})[ada.pk]
    frames += [frame.encode() for frame in replay.plan(missed, ResumeRequest(0, missed.epoch)).replay]
    sizes = [len(frame.encode()) for frame in frames]
    assert max(sizes) <= MAX_FRAME_BYTES
    # Negative control: a hundred of these rows would pass it.
    assert sum(sizes[:1]) / len(revisions[0].added) * 100 > MAX_FRAME_BYTES


def test_rows_without_data_are_a_hundred_a_revision(ada, revisions):
    with transaction.atomic():
        notify_many([ada] * 250, "announcement", "x" * 200, "y" * 500, url="/" + "z" * 499)
    sequencing.assign_revisions([ada.pk])
    assert [len(revision.added) for revision in revisions] == [100, 100, 50]
