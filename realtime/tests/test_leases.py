import threading
import uuid
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from messaging import profiles
from messaging.models import UserProfile
from realtime.models import Connection, ServerProcess
from realtime.presence import leases
from realtime.presence.leases import Fenced
from realtime.tests.presence import closed, grace_is_over, lease_is_over, opened, shown


@pytest.fixture
def process(db, settings):
    """A process that stays alive, however long this machine takes."""
    settings.REALTIME_LEASE_SECONDS = 1_000
    return leases.register()


# --- Coming and going ------------------------------------------------------------------------------------------


def test_a_connect_shows_online_at_once(process, ada, grace):
    assert shown(ada) == (False, 0, None)
    leases.record(process, [opened(ada)])
    assert shown(ada) == (True, 1, None)
    assert shown(grace) == (False, 0, None)
    assert UserProfile.objects.get(user=ada).last_seen is not None


def test_a_second_tab_is_no_event(process, ada):
    leases.record(process, [opened(ada)])
    leases.record(process, [opened(ada), opened(ada)])
    assert shown(ada) == (True, 1, None)
    assert Connection.objects.filter(user=ada).count() == 3


def test_the_last_tab_leaves_a_grace(process, ada):
    first, second = opened(ada), opened(ada)
    leases.record(process, [first, second])
    leases.record(process, [closed(first)])
    assert shown(ada) == (True, 1, None)
    leases.record(process, [closed(second)])
    online, version, left = shown(ada)
    assert (online, version) == (True, 1)
    assert 3 < left <= 5
    leases.reap()
    assert shown(ada)[0]


def test_after_the_grace_a_reaper_shows_offline(process, ada):
    event = opened(ada)
    leases.record(process, [event])
    leases.record(process, [closed(event)])
    grace_is_over(ada)
    leases.reap()
    assert shown(ada) == (False, 2, None)
    leases.reap()
    assert shown(ada) == (False, 2, None)


@pytest.mark.parametrize("batches", ["close, open", "open, close", "close open", "open close"])
def test_a_reload_is_no_event(process, ada, batches):
    old, new = opened(ada), opened(ada)
    leases.record(process, [old])
    for batch in batches.split(", "):
        leases.record(process, [{"close": closed(old), "open": new}[word] for word in batch.split()])
    assert shown(ada) == (True, 1, None)
    leases.reap()
    assert shown(ada) == (True, 1, None)


def test_a_socket_that_came_and_went_between_two_batches_is_no_event(process, ada):
    event = opened(ada)
    leases.record(process, [event, closed(event)])
    assert shown(ada) == (False, 0, None)
    assert not Connection.objects.exists()


def test_of_several_graces_the_longest_counts(process, ada):
    events = [opened(ada) for _ in range(3)]
    leases.record(process, events)
    leases.record(process, [closed(events[0], 5), closed(events[1], 20), closed(events[2], 5)])
    assert 15 < shown(ada)[2] <= 20


def test_a_user_with_a_socket_stays_online_when_the_grace_is_over(process, ada):
    leases.record(process, [opened(ada)])
    grace_is_over(ada)
    leases.reap()
    assert shown(ada) == (True, 1, None)


def test_a_batch_may_hold_many_users(process, ada, grace, linus):
    events = {user: opened(user) for user in (ada, grace, linus)}
    leases.record(process, events.values())
    leases.record(process, [closed(events[ada], 5), closed(events[grace], 20)])
    assert 3 < shown(ada)[2] <= 5
    assert 15 < shown(grace)[2] <= 20
    assert shown(linus) == (True, 1, None)


def test_a_deleted_user_spoils_no_batch(process, ada, grace):
    gone, event = opened(grace), opened(ada)
    grace.delete()
    leases.record(process, [gone, event, closed(gone)])
    leases.record(process, [opened(SimpleNamespace(pk=10**9))])
    assert shown(ada) == (True, 1, None)
    assert [str(row.id) for row in Connection.objects.all()] == [event.id]


def test_a_user_without_a_profile_gets_one(process, ada):
    UserProfile.objects.all().delete()
    leases.record(process, [opened(ada)])
    assert shown(ada) == (True, 1, None)


def test_a_connect_recorded_twice_is_one(process, ada):
    event = opened(ada)
    leases.record(process, [event])
    leases.record(process, [event, event])
    assert Connection.objects.count() == 1


def test_a_user_set_online_manually_goes_offline_in_time(process, ada):
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    profile.save()
    leases.reap()
    assert shown(ada)[0]
    assert 290 < shown(ada)[2] <= 300
    grace_is_over(ada)
    leases.reap()
    assert not shown(ada)[0]


# --- Too many --------------------------------------------------------------------------------------------------


def test_the_oldest_socket_over_the_limit_is_named(process, ada, grace, settings):
    settings.REALTIME_MAX_CONNECTIONS_PER_USER = 3
    events = [opened(ada) for _ in range(3)]
    for event in events:
        assert leases.record(process, [event]) == []
    assert leases.record(process, [opened(grace)]) == []
    assert leases.record(process, [opened(ada)]) == [(ada.pk, uuid.UUID(events[0].id))]


def test_within_a_batch_the_oldest_is_the_first(process, ada, settings):
    settings.REALTIME_MAX_CONNECTIONS_PER_USER = 3
    events = [opened(ada) for _ in range(5)]
    over_limit = leases.record(process, events)
    assert set(over_limit) == {(ada.pk, uuid.UUID(event.id)) for event in events[:2]}


def test_the_limit_is_over_all_processes(process, ada, settings):
    settings.REALTIME_MAX_CONNECTIONS_PER_USER = 1
    event = opened(ada)
    leases.record(leases.register(), [event])
    assert leases.record(process, [opened(ada)]) == [(ada.pk, uuid.UUID(event.id))]


# --- Processes that die ------------------------------------------------------------------------------------------


def test_a_dead_process_is_expired_with_its_sockets(process, ada, grace):
    dead = leases.register()
    leases.record(dead, [opened(ada), opened(ada)])
    leases.record(process, [opened(grace)])
    lease_is_over(dead)
    leases.reap()
    assert [row.id for row in ServerProcess.objects.all()] == [process]
    assert [row.user_id for row in Connection.objects.all()] == [grace.pk]
    online, version, left = shown(ada)
    assert (online, version) == (True, 1)
    assert 7 < left <= 10
    assert shown(grace) == (True, 1, None)
    grace_is_over(ada)
    leases.reap()
    assert shown(ada) == (False, 2, None)


def test_a_user_with_a_socket_elsewhere_stays_when_a_process_dies(process, ada):
    dead = leases.register()
    leases.record(dead, [opened(ada)])
    leases.record(process, [opened(ada)])
    lease_is_over(dead)
    leases.reap()
    assert shown(ada) == (True, 1, None)


def test_sockets_of_a_process_whose_lease_is_over_do_not_count(process, ada):
    dead = leases.register()
    leases.record(dead, [opened(ada)])
    event = opened(ada)
    leases.record(process, [event])
    lease_is_over(dead)
    leases.record(process, [closed(event)])
    assert shown(ada)[2] is not None


def test_a_user_who_connects_while_the_lease_has_run_out_is_online(process, ada, grace):
    """After an outage: the lease is renewed only after the queue has been written."""
    leases.record(process, [opened(grace)])
    lease_is_over(process)
    leases.record(process, [opened(ada)])
    leases.renew(process)
    leases.reap()
    assert shown(ada) == shown(grace) == (True, 1, None)


def test_a_user_with_another_tab_is_not_leaving_while_the_lease_has_run_out(process, ada):
    first, second = opened(ada), opened(ada)
    leases.record(process, [first, second])
    lease_is_over(process)
    leases.record(process, [closed(first)])
    assert shown(ada) == (True, 1, None)


def test_a_user_online_without_a_connection_is_given_the_grace(process, ada, grace, linus):
    """A restored backup, say, or an UPDATE by hand."""
    leases.record(process, [opened(grace)])
    profiles.set_many_manually([linus.pk], is_online=True)
    UserProfile.objects.filter(user=ada).update(is_online=True)
    leases.mark_unconnected_leaving()
    assert shown(grace) == (True, 1, None)
    assert 8 < shown(ada)[2] <= 10
    assert shown(linus)[2] > 200
    grace_is_over(ada)
    leases.reap()
    assert [shown(user)[0] for user in (ada, grace, linus)] == [False, True, True]


def test_a_live_process_is_not_expired(process, ada):
    leases.record(process, [opened(ada)])
    leases.reap()
    leases.expire_processes([process], grace=1, only_lapsed=True)
    leases.renew(process)
    assert shown(ada) == (True, 1, None)


def test_an_expired_process_is_fenced_when_it_renews_or_writes(process, ada):
    lease_is_over(process)
    leases.reap()
    with pytest.raises(Fenced):
        leases.renew(process)
    with pytest.raises(Fenced):
        leases.record(process, [opened(ada)])
    assert shown(ada) == (False, 0, None)


def test_a_process_that_ends_leaves_its_users_a_grace(process, ada):
    leases.record(process, [opened(ada)])
    leases.expire_processes([process], grace=20)
    assert not ServerProcess.objects.exists()
    assert 15 < shown(ada)[2] <= 20


def test_a_lease_is_renewed_by_the_databases_clock(process, settings):
    settings.REALTIME_LEASE_SECONDS = 100
    leases.renew(process)
    row = ServerProcess.objects.annotate(now=Now()).get()
    assert 90 < (row.lease_until - row.now).total_seconds() <= 100


def test_reaping_and_writing_take_a_constant_number_of_queries(process, django_assert_max_num_queries):
    people = [User.objects.create_user(f"person{number}") for number in range(30)]
    events = [opened(user) for user in people]
    with django_assert_max_num_queries(14):
        leases.record(process, events)
    with django_assert_max_num_queries(14):
        leases.record(process, [closed(event) for event in events])
    grace_is_over(*people)
    with django_assert_max_num_queries(14):
        leases.reap()
    assert not UserProfile.objects.filter(is_online=True).exists()


# --- Races -------------------------------------------------------------------------------------------------------


def check_truth(user):
    connected = Connection.objects.filter(user=user).exists()
    online, _, left = shown(user)
    assert online or not connected, "connected but offline"
    if online and not connected:
        assert left is not None, "online for ever"


def test_reloads_that_race_never_end_connected_but_offline(process, ada, threads):
    other = leases.register()
    for _ in range(25):
        old, new = opened(ada), opened(ada)
        leases.record(process, [old])
        threads.together(
            lambda old=old: leases.record(process, [closed(old, 0.0)]),
            lambda new=new: leases.record(other, [new]),
            leases.reap,
        )
        check_truth(ada)
        leases.record(other, [closed(new, 0.0)])
        threads.together(leases.reap, lambda old=old: leases.record(process, [old]), leases.reap)
        check_truth(ada)
        leases.record(process, [closed(old, 0.0)])
        leases.reap()


def test_a_connect_in_the_reapers_worst_moment_ends_online(process, ada, threads, monkeypatch):
    event, connected = opened(ada), threading.Event()
    leases.record(process, [event])
    leases.record(process, [closed(event)])
    grace_is_over(ada)
    worst_moment, apply_presence = threading.Event(), profiles.apply_presence

    def slowly(locked, *, overdue=(), **kwargs):
        if overdue:
            worst_moment.set()
            # Under the lock the connect can't come through here.
            connected.wait(0.3)
        return apply_presence(locked, overdue=overdue, **kwargs)

    def connect():
        assert worst_moment.wait(10)
        leases.record(process, [opened(ada)])
        connected.set()

    monkeypatch.setattr(profiles, "apply_presence", slowly)
    threads.together(leases.reap, connect)
    assert shown(ada)[0]
    check_truth(ada)


def test_an_expiry_that_races_with_a_reconnect_ends_online(process, ada, threads):
    for _ in range(10):
        dead, event = leases.register(), opened(ada)
        leases.record(dead, [opened(ada)])
        lease_is_over(dead)
        threads.together(leases.reap, lambda event=event: leases.record(process, [event]), leases.reap)
        leases.reap()
        assert shown(ada)[0]
        assert shown(ada)[2] is None
        leases.record(process, [closed(event, 0.0)])
        leases.reap()
