"""What PostgreSQL's row locks do to presence: what the profile's lock prevents, and what somebody else's holds up."""

import threading
import uuid

import pytest
from django.db import transaction

from messaging import profiles
from messaging.models import UserProfile
from realtime import leases
from realtime.models import Connection
from realtime.tests.client import PATIENCE
from realtime.tests.processes import wait_for
from realtime.tests.test_leases import closed, grace_is_over, lease_is_over, opened, shown

pytestmark = pytest.mark.django_db(transaction=True)


def test_without_the_lock_a_reload_ends_connected_but_offline(ada, threads, monkeypatch):
    process = leases.register()
    event, connected, worst_moment = opened(ada), threading.Event(), threading.Event()
    leases.record(process, [event])
    leases.record(process, [closed(event)])
    grace_is_over(ada)
    set_offline = profiles.set_offline

    def slowly(user_ids):
        worst_moment.set()
        connected.wait(0.5)
        set_offline(user_ids)

    def connect():
        assert worst_moment.wait(10)
        leases.record(process, [opened(ada)])
        connected.set()

    monkeypatch.setattr(profiles, "lock", lambda ids: list(UserProfile.objects.filter(user_id__in=ids)))
    monkeypatch.setattr(profiles, "set_offline", slowly)
    threads.together(leases.reap, connect)
    assert Connection.objects.filter(user=ada).exists()
    assert not shown(ada)[0]


# --- A profile that somebody else has locked ---------------------------------------------------------------------


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


def test_it_holds_up_its_own_user_and_nobody_else(ada, grace, held, other_process):
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
    assert own.flush(PATIENCE)


def test_a_burial_leaves_it_for_the_next_time(ada, grace, held):
    dead = leases.register()
    Connection.objects.bulk_create(
        Connection(id=uuid.uuid4(), process_id=dead, user=user, login_hash="hash") for user in (ada, grace)
    )
    UserProfile.objects.filter(user=grace).update(is_online=True)
    lease_is_over(dead)
    assert leases.reap().processes == 0
    assert shown(grace)[2] is not None
    assert [row.user_id for row in Connection.objects.all()] == [ada.pk]
    held.set()
    wait_for(lambda: leases.reap().processes == 1)
    assert not Connection.objects.exists()
