"""manage.py sweep_presence: run manually what every server process does periodically."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from messaging.models import UserProfile
from realtime.models import Connection, ServerProcess
from realtime.presence import leases
from realtime.presence.leases import Opened

pytestmark = pytest.mark.django_db(transaction=True)


def sweep():
    out = io.StringIO()
    call_command("sweep_presence", stdout=out)
    return out.getvalue()


@pytest.fixture
def connected(ada):
    """ada has a socket in a server process."""
    process = leases.register()
    leases.record(process, [Opened(f"{1:032x}", ada.pk, "x")])
    assert UserProfile.objects.get(user=ada).is_online
    return ServerProcess.objects.filter(id=process)


def test_a_connected_user_stays_online(connected, ada):
    assert sweep() == "Expired 0 server processes; marked 0 users offline.\n"
    assert UserProfile.objects.get(user=ada).is_online
    assert Connection.objects.count() == 1


def test_a_dead_process_is_expired_and_its_users_are_offline_after_the_grace(connected, ada):
    connected.update(lease_until=Now() - timedelta(seconds=1))
    printed = sweep()
    assert printed.startswith("Expired 1 server processes; marked 0 users offline.\n")
    assert "offline in 10 seconds unless they reconnect" in printed
    assert not Connection.objects.exists()
    assert UserProfile.objects.get(user=ada).is_online
    UserProfile.objects.filter(user=ada).update(offline_after=Now() - timedelta(seconds=1))
    assert sweep() == "Expired 0 server processes; marked 1 users offline.\n"
    assert not UserProfile.objects.get(user=ada).is_online


def test_a_user_who_reconnected_elsewhere_stays_online(connected, ada):
    connected.update(lease_until=Now() - timedelta(seconds=1))
    sweep()
    leases.record(leases.register(), [Opened(f"{2:032x}", ada.pk, "x")])
    UserProfile.objects.filter(user=ada).update(offline_after=Now() - timedelta(seconds=1))
    assert sweep() == "Expired 0 server processes; marked 0 users offline.\n"
    assert UserProfile.objects.get(user=ada).is_online
