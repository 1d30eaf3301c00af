"""The negative control: without the profile's lock a connect in the reaper's worst moment is lost."""

import threading

import pytest

from messaging import profiles
from messaging.models import UserProfile
from realtime import leases
from realtime.models import Connection
from realtime.tests.test_leases import closed, grace_is_over, opened, shown

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
