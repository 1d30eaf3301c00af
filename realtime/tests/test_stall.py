"""What stops one thread stops no socket: not Django's shared thread, not a slow query, not a wrong clock."""

import asyncio
import threading
import time
import uuid
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from messaging.models import UserProfile
from realtime.auth import issue_ticket, use_ticket, valid_logins
from realtime.db_threads import THREADS, in_thread
from realtime.models import Connection, ServerProcess
from realtime.presence import leases
from realtime.tests.client import TIMEOUT, notify_titles, sign_in
from realtime.tests.presence import closed, grace_is_over, opened, shown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def stalled():
    """Calls that don't end before the test: one on the thread that Django shares, all but one of our own."""
    release = threading.Event()
    calls = [asyncio.ensure_future(sync_to_async(release.wait, thread_sensitive=True)(TIMEOUT))]
    calls += [asyncio.ensure_future(in_thread(release.wait, TIMEOUT)) for _ in range(THREADS - 1)]
    yield calls
    release.set()
    await asyncio.gather(*calls)


async def test_a_blocking_call_delays_no_other_socket(server, ada, grace, stalled):
    socket, other = await server.connect(ada), await server.connect(grace)
    for number in range(20):
        await in_thread(notify_titles, ada, f"Number {number}")
        await in_thread(notify_titles, grace, f"Number {number}")
    await socket.until_revision(1)
    while len(socket.titles) < 20:
        await socket.next()
    while len(other.titles) < 20:
        await other.next()
    assert await socket.received_so_far() == []
    assert not any(call.done() for call in stalled)


async def test_on_djangos_shared_thread_all_would_wait(server, stalled):
    """The negative control: what Channels does before each message."""
    hop = asyncio.ensure_future(sync_to_async(time.monotonic, thread_sensitive=True)())
    await asyncio.wait([hop], timeout=0.2)
    assert not hop.done()
    stalled.append(hop)


# --- A clock that is wrong ---------------------------------------------------------------------------------------


@pytest.fixture(params=[timedelta(minutes=10), -timedelta(minutes=10)], ids=["ahead", "behind"])
def wrong_clock(request, monkeypatch):
    """To be called with a function: it runs in a process whose clock is wrong."""
    now, seconds = timezone.now, time.time

    def run(function, *args):
        with monkeypatch.context() as process:
            process.setattr(timezone, "now", lambda: now() + request.param)
            process.setattr(time, "time", lambda: seconds() + request.param.total_seconds())
            return function(*args)

    return run


def test_a_process_with_a_wrong_clock_expires_no_other_and_is_not_expired(ada, grace, wrong_clock):
    right, wrong = leases.register(), wrong_clock(leases.register)
    here, there = opened(ada), opened(grace)
    leases.record(right, [here])
    wrong_clock(leases.record, wrong, [there])
    leases.reap()
    wrong_clock(leases.reap)
    wrong_clock(leases.renew, wrong)
    leases.reap()
    assert set(ServerProcess.objects.values_list("id", flat=True)) == {right, wrong}
    assert shown(ada) == shown(grace) == (True, 1, None)
    for process in ServerProcess.objects.all():
        assert abs((process.lease_until - timezone.now()).total_seconds() - 15) < 15


def test_its_users_have_their_grace_and_go_offline(ada, wrong_clock):
    process, event = wrong_clock(leases.register), opened(ada)
    wrong_clock(leases.record, process, [event])
    wrong_clock(leases.record, process, [closed(event)])
    assert 0 < shown(ada)[2] <= 5
    wrong_clock(leases.reap)
    assert shown(ada)[0]
    grace_is_over(ada)
    wrong_clock(leases.reap)
    assert shown(ada) == (False, 2, None)
    seen = UserProfile.objects.get(user=ada).last_seen
    assert seen is not None
    assert abs(seen - timezone.now()) < timedelta(minutes=5)


def test_its_logins_and_tickets_are_good_and_end(ada, wrong_clock):
    key = sign_in(ada)
    assert wrong_clock(valid_logins, [key]).keys() == {key}
    ticket = wrong_clock(issue_ticket, ada, key)
    assert use_ticket(ticket) is not None
    ticket = issue_ticket(ada, key)
    assert wrong_clock(use_ticket, ticket) is not None
    assert wrong_clock(use_ticket, ticket) is None
    assert not Connection.objects.filter(id=uuid.uuid4()).exists()
