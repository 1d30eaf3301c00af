"""Dedupe keys, receipts and profiles under row locks (collected on PostgreSQL only)."""

import pytest
from django.db import transaction

from messaging import profiles
from messaging.models import Message, Notification, UserProfile
from messaging.notifications import mark_read, notify, notify_many
from messaging.tests.presence import set_leaving, set_online
from messaging.tests.transactions import until, waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_two_concurrent_mark_read_calls_return_disjoint_ids(ada, held, threads):
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
