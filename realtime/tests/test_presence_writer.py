"""The thread that writes presence: its lease, its batches, and what it does while the database or its loop fails."""

import asyncio
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError, ProgrammingError, transaction
from django.db.models.functions import Now

from realtime.db_threads import in_thread
from realtime.models import Connection, ServerProcess
from realtime.presence import leases, writer
from realtime.presence.writer import presence_writer
from realtime.tests.client import TIMEOUT, eventually_in_database, notify_titles
from realtime.tests.conftest import stop_presence
from realtime.tests.presence import (
    grace_is_over,
    lease_is_over,
    opened,
    shown,
    shown_now,
    until_offline,
    written,
)
from realtime.tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def reaps_often(monkeypatch):
    monkeypatch.setattr(writer, "REAP_SECONDS", 0.05)


def own_process():
    assert presence_writer.process_id is not None
    return presence_writer.process_id


async def test_a_process_that_ends_writes_its_queue_and_gives_up_its_lease(server, ada):
    await server.connect(ada)
    await stop_presence()
    assert not await in_thread(ServerProcess.objects.exists)
    assert not await in_thread(Connection.objects.exists)
    online, _, left = await in_thread(shown, ada)
    assert online
    assert 15 < left <= 20


async def test_stopping_before_it_started_is_harmless(server, ada):
    await asyncio.to_thread(presence_writer.stop)
    assert not presence_writer._stopping
    await server.connect(ada)
    assert (await shown_now(ada))[0]
    assert presence_writer._thread is not None


async def test_other_processes_that_died_are_reaped(server, ada, grace):
    def leave_behind():
        dead = leases.register()
        leases.record(dead, [opened(grace)])
        lease_is_over(dead)
        return dead

    dead = await in_thread(leave_behind)
    await server.connect(ada)
    await eventually_in_database(lambda: not ServerProcess.objects.filter(id=dead).exists())
    assert (await in_thread(shown, grace))[0]
    await in_thread(grace_is_over, grace)
    await until_offline(grace)
    assert (await shown_now(ada))[0]


async def test_the_lease_is_renewed_while_the_loop_runs(server, ada, settings):
    settings.REALTIME_LEASE_SECONDS = 1
    await server.connect(ada)
    await written()
    lease = await in_thread(lambda: ServerProcess.objects.get().lease_until)
    await eventually_in_database(
        lambda: ServerProcess.objects.filter(lease_until__gt=lease + timedelta(seconds=1)).exists()
    )


async def test_a_process_expired_by_mistake_registers_again_with_its_sockets(
    server, ada, grace, settings, monkeypatch
):
    # It renews often, but its lease is long: no other process expires it on a busy machine.
    settings.REALTIME_LEASE_SECONDS = 1
    monkeypatch.setattr(leases, "_lease", lambda: timedelta(hours=1))
    sockets = [await server.connect(user) for user in (ada, ada, grace)]
    await written()
    expired = own_process()

    def expire():
        with transaction.atomic():
            leases.expire_processes([expired], grace=10)
            # Before the process can notice.
            return shown(ada)

    assert (await in_thread(expire))[2] is not None
    await eventually_in_database(lambda: Connection.objects.exclude(process=expired).count() == 3)
    assert presence_writer.process_id != expired
    assert await shown_now(ada) == (True, 1, None)
    assert await shown_now(grace) == (True, 1, None)
    for socket in sockets:
        assert "error" not in {frame["type"] for frame in await socket.received_so_far()}


async def test_an_expired_process_that_writes_before_it_renews_registers_again(server, ada, grace, settings):
    settings.REALTIME_LEASE_SECONDS = 1_000
    await server.connect(ada)
    await written()
    expired = own_process()
    await in_thread(lambda: leases.expire_processes([expired], grace=10))
    await server.connect(grace)
    await eventually_in_database(lambda: Connection.objects.exclude(process=expired).count() == 2)
    assert await shown_now(ada) == (True, 1, None)
    assert await shown_now(grace) == (True, 1, None)


@pytest.fixture
def short_lease(settings):
    """Request it before `other_process`, whose first lease it is."""
    settings.REALTIME_LEASE_SECONDS = 0.6


def test_a_process_whose_loop_is_blocked_loses_its_lease_and_registers_again_when_it_runs(
    ada, short_lease, other_process, settings
):
    loop, own = other_process
    own.opened(str(uuid.uuid4()), ada.pk, "hash")
    wait_for(lambda: shown(ada)[0])
    frozen = own.process_id
    loop.freeze()
    # On a starved machine its lease may end before, and then it registers again at once.
    wait_for(lambda: not own._loop_is_responsive())

    def expired():
        leases.reap()
        return not (ServerProcess.objects.exists() or Connection.objects.exists())

    wait_for(expired)
    assert shown(ada)[2] is not None
    # The next one lasts, however long this machine takes.
    settings.REALTIME_LEASE_SECONDS = 1_000
    loop.unfrozen.set()
    wait_for(lambda: Connection.objects.filter(user=ada, process__lease_until__gt=Now()).exists())
    assert own.process_id != frozen
    assert shown(ada) == (True, 1, None)


def test_a_process_that_could_not_renew_expires_no_other_until_it_has_renewed_for_a_while(
    ada, short_lease, other_process, settings, monkeypatch
):
    _, own = other_process
    wait_for(lambda: own._renewed_at is not None)
    renew, away = leases.renew, [True]

    def fail(process_id):
        if away[0]:
            raise OperationalError("the database is away")
        renew(process_id)

    monkeypatch.setattr(leases, "renew", fail)
    wait_for(lambda: own._healthy_since is None)
    assert not own._may_expire_others()
    settings.REALTIME_LEASE_SECONDS = 15
    away[0] = False
    wait_for(lambda: own._healthy_since is not None)
    assert not own._may_expire_others()
    own._healthy_since -= 15
    assert own._may_expire_others()


def test_a_process_whose_thread_hung_for_longer_than_its_lease_expires_no_other_until_it_has_renewed_for_a_while(
    ada, short_lease, other_process, settings, monkeypatch
):
    """A stalled database raises no error: every lease has run out, unnoticed."""
    _, own = other_process
    wait_for(own._may_expire_others)
    settings.REALTIME_LEASE_SECONDS = 15
    halted, goes_on = threading.Event(), threading.Event()
    record = leases.record

    def halt(process_id, batch):
        halted.set()
        assert goes_on.wait(TIMEOUT)
        return record(process_id, batch)

    monkeypatch.setattr(leases, "record", halt)
    reaped = []
    reap = leases.reap

    def note():
        reaped.append(own._lease_has_lapsed())
        return reap()

    monkeypatch.setattr(leases, "reap", note)
    own.opened(str(uuid.uuid4()), ada.pk, "hash")
    assert halted.wait(TIMEOUT)
    own._renewed_at -= settings.REALTIME_LEASE_SECONDS
    reaped.clear()
    renewed_at = own._renewed_at
    goes_on.set()
    wait_for(lambda: own._renewed_at > renewed_at)
    assert not own._may_expire_others()
    assert reaped == []
    own._healthy_since -= settings.REALTIME_LEASE_SECONDS
    wait_for(lambda: reaped)
    assert reaped[0] is False


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("the database is away"),
        # New code on a database that isn't migrated yet: no event is at fault.
        ProgrammingError("no such column: messaging_userprofile.language"),
    ],
)
def test_events_during_a_database_outage_are_written_later_and_in_order(
    ada, grace, other_process, monkeypatch, caplog, error
):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    record, failures = leases.record, [error] * 4

    def fail(process_id, batch):
        if failures:
            raise failures.pop()
        return record(process_id, batch)

    monkeypatch.setattr(leases, "record", fail)
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    own.opened(first, ada.pk, "hash")
    own.opened(second, grace.pk, "hash")
    own.closed(first, ada.pk, None)
    wait_for(lambda: not failures)
    assert own.flush(TIMEOUT)
    assert {str(row.id) for row in Connection.objects.all()} == {second}
    assert shown(grace) == (True, 1, None)
    if isinstance(error, ProgrammingError):
        began, ended = [line for line in caplog.messages if "presence events" in line]
        assert began.startswith("presence events stay queued; database not migrated (manage.py migrate)")
        assert ended.startswith("presence events are written again after")


def test_one_event_that_can_never_be_written_is_dropped_and_delays_no_other(
    ada, grace, linus, other_process, monkeypatch, caplog
):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    record = leases._record

    def poisoned(process_id, batch):
        if any(event.user_id == linus.pk for event in batch):
            raise DataError("no such thing")
        return record(process_id, batch)

    monkeypatch.setattr(leases, "_record", poisoned)
    with own._changed:
        # All in one batch.
        for user in (ada, linus, grace):
            own.opened(str(uuid.uuid4()), user.pk, "hash")
    assert own.flush(TIMEOUT)
    assert shown(ada) == shown(grace) == (True, 1, None)
    assert shown(linus) == (False, 0, None)
    assert "cannot be written; 1 events dropped" in caplog.text
    own.opened(str(uuid.uuid4()), ada.pk, "hash")
    assert own.flush(TIMEOUT)
    assert Connection.objects.filter(user=ada).count() == 2


def test_a_bug_in_an_event_does_not_end_the_thread(ada, grace, other_process):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    with own._changed:
        own.opened("no UUID", ada.pk, "hash")
        own.opened(str(uuid.uuid4()), grace.pk, "hash")
    assert own.flush(TIMEOUT)
    assert shown(grace) == (True, 1, None)


def test_however_much_there_is_to_write_the_lease_is_renewed(other_process, monkeypatch, settings):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    settings.REALTIME_LEASE_SECONDS = 0.03
    renewals, write, enough = [], own._write, threading.Event()
    renew = leases.renew

    def endless(process_id, batch):
        # There is always more.
        if not enough.is_set():
            own.closed(str(uuid.uuid4()), 0, None)
        return write(process_id, batch)

    monkeypatch.setattr(own, "_write", endless)
    monkeypatch.setattr(own, "_loop_is_responsive", lambda: True)
    monkeypatch.setattr(leases, "renew", lambda process_id: (renewals.append(1), renew(process_id)))
    own.closed(str(uuid.uuid4()), 0, None)
    wait_for(lambda: len(renewals) > 5)
    with own._changed:
        assert own._events or own._writing
    enough.set()


def test_a_closed_loop_ends_its_thread_and_gives_up_the_lease(ada, other_process):
    loop, own = other_process
    wait_for(lambda: own.process_id is not None)
    loop.stop()
    wait_for(lambda: own._thread is None)
    assert not ServerProcess.objects.exists()
    # So that the fixture finds one to stop.
    loop.__init__()


async def test_a_socket_is_served_while_presence_cannot_be_written(server, ada, monkeypatch):
    def fail(process_id, batch):
        raise OperationalError("the database is away")

    with monkeypatch.context() as away:
        away.setattr(leases, "record", fail)
        socket = await server.connect(ada)
        await in_thread(notify_titles, ada, "Hello")
        await socket.until_revision(1)
        assert socket.titles == ["Hello"]
    assert (await shown_now(ada))[0]
