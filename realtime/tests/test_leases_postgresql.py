"""PostgreSQL's row locks in presence: what the profile's lock prevents, and what another transaction's lock delays."""

import threading
import uuid

import pytest
from django.db import OperationalError, connection, transaction

from conftest import size
from messaging import profiles
from messaging.models import UserProfile
from realtime.models import Connection, ServerProcess
from realtime.presence import leases
from realtime.tests.client import TIMEOUT
from realtime.tests.presence import closed, grace_is_over, lease_is_over, opened, shown
from realtime.tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def lives_on(settings):
    """However long this machine takes, no process's lease runs out by itself."""
    settings.REALTIME_LEASE_SECONDS = 1_000


RACES = size(40, full=400)


def lost_reloads(ada, threads, monkeypatch):
    """Let so many reloads connect in the reaper's worst moment. Returns how many ended connected but offline."""
    process, lost, apply_presence = leases.register(), 0, profiles.apply_presence
    for _ in range(RACES):
        event = opened(ada)
        leases.record(process, [event])
        leases.record(process, [closed(event)])
        grace_is_over(ada)
        worst_moment, connected, new = threading.Event(), threading.Event(), opened(ada)

        def slowly(locked, *, worst_moment=worst_moment, connected=connected, overdue=(), **kwargs):
            if overdue:
                worst_moment.set()
                # Until the connect has come through, or waits for the lock.
                wait_for(lambda: connected.is_set() or something_waits_for_a_lock())
            return apply_presence(locked, overdue=overdue, **kwargs)

        def connect(worst_moment=worst_moment, connected=connected, new=new):
            assert worst_moment.wait(TIMEOUT)
            leases.record(process, [new])
            connected.set()

        monkeypatch.setattr(profiles, "apply_presence", slowly)
        threads.together(leases.reap, connect)
        assert Connection.objects.filter(user=ada).exists()
        lost += not shown(ada)[0]
        leases.record(process, [closed(new, 0.0)])
    print(f"{lost} of {RACES} reloads ended connected but offline")
    return lost


def something_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None


def test_with_the_lock_no_reload_is_lost(ada, threads, monkeypatch):
    # However long this machine takes, the wait for the lock doesn't time out.
    monkeypatch.setattr(leases, "LOCK_TIMEOUT_SECONDS", 60)
    assert lost_reloads(ada, threads, monkeypatch) == 0


def test_without_the_lock_every_reload_is_lost(ada, threads, monkeypatch):
    """The negative control."""

    def read(user_ids, **kwargs):
        return list(UserProfile.objects.filter(user_id__in=user_ids))

    monkeypatch.setattr(profiles, "lock", read)
    monkeypatch.setattr(profiles, "lock_overdue", lambda limit: read([ada.pk]))
    assert lost_reloads(ada, threads, monkeypatch) == RACES


# --- A profile that another transaction has locked -----------------------------------------------------------------


@pytest.fixture
def held(ada, threads):
    """Ada's profile is locked, by a transaction somewhere, until the event is set."""
    locked, release = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            profiles.lock([ada.pk])
            locked.set()
            assert release.wait(60)

    threads.start(hold)
    assert locked.wait(10)
    yield release
    release.set()
    threads.join()


def test_it_delays_its_own_user_and_no_other(ada, grace, held, other_process):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    with own._changed:
        for user in (ada, grace):
            own.opened(str(uuid.uuid4()), user.pk, "hash")
    wait_for(lambda: shown(grace)[0])
    assert not shown(ada)[0]
    assert not own.flush(0)
    held.set()
    wait_for(lambda: shown(ada)[0])
    assert own.flush(TIMEOUT)


def test_expiring_leaves_it_for_the_next_time_and_the_process_is_fenced_all_the_same(ada, grace, held):
    dead = leases.register()
    Connection.objects.bulk_create(
        Connection(id=uuid.uuid4(), process_id=dead, user=user, login_hash="hash") for user in (ada, grace)
    )
    UserProfile.objects.filter(user=grace).update(is_online=True)
    lease_is_over(dead)
    assert leases.reap().processes == 1
    assert shown(grace)[2] is not None
    assert [row.user_id for row in Connection.objects.all()] == [ada.pk]
    # It must not go on as if it had all its sockets.
    with pytest.raises(leases.Fenced):
        leases.renew(dead)
    assert leases.reap().processes == 0
    assert Connection.objects.count() == ServerProcess.objects.count() == 1
    held.set()
    wait_for(lambda: leases.reap().processes == 0 and not Connection.objects.exists())
    assert not ServerProcess.objects.exists()


def test_a_process_that_registers_again_takes_its_sockets_back_from_the_orphanage(ada, held):
    dead, event = leases.register(), opened(ada)
    Connection.objects.create(id=event.id, process_id=dead, user=ada, login_hash="hash")
    lease_is_over(dead)
    leases.reap()
    held.set()
    alive = leases.register()
    wait_for(lambda: taken_back(alive, event))
    leases.reap()
    assert [(str(row.id), row.process_id) for row in Connection.objects.all()] == [(event.id, alive)]
    assert shown(ada) == (True, 1, None)


def taken_back(process, event):
    try:
        leases.record(process, [event])
    except OperationalError:  # the profile is still locked
        return False
    return True
