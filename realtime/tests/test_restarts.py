"""Endless threads and tasks that fail: each is restarted, logged once and counted."""

import asyncio
import logging
import threading

import pytest
from django.contrib.auth.models import User

from messaging.models import Notification
from messaging.notifications import notify
from realtime import background, counters
from realtime.background import keep_thread, run_again, run_periodically
from realtime.outbound import relay as relay_module
from realtime.outbound.envelopes import GroupMessage
from realtime.outbound.relay import Relay
from realtime.presence import leases
from realtime.presence.writer import PresenceWriter
from realtime.tests.client import TIMEOUT
from realtime.tests.processes import LoopThread, wait_for


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.01)


def restarts(name):
    return counters.restarts.labels(name)._value.get()


class Failing:
    """Fails so many times, then waits until it is released."""

    def __init__(self, times, error=ValueError):
        self.times, self.error = times, error
        self.runs = 0
        self.works, self.released = threading.Event(), threading.Event()

    def __call__(self):
        self.runs += 1
        if self.runs <= self.times:
            raise self.error("on purpose")
        self.works.set()
        self.released.wait(TIMEOUT)


def test_a_thread_that_fails_begins_anew_and_is_counted(caplog):
    before, run = restarts("test"), Failing(3)
    thread = keep_thread(None, "test", run)
    assert run.works.wait(TIMEOUT)
    assert keep_thread(thread, "test", run) is thread
    assert restarts("test") == before + 3
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    assert "test failed and is started again" in errors[0].getMessage()
    assert errors[0].exc_info
    run.released.set()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_was_ended_from_outside_is_replaced():
    # As gevent ends a greenlet: by an exception that isn't an Exception.
    before, run = restarts("test"), Failing(1, SystemExit)
    thread = keep_thread(None, "test", run)
    thread.join(TIMEOUT)
    fresh = keep_thread(thread, "test", run)
    assert fresh is not thread
    assert run.works.wait(TIMEOUT)
    assert restarts("test") == before + 1
    run.released.set()
    fresh.join(TIMEOUT)


def test_where_no_thread_can_be_started_the_next_try_may(monkeypatch, caplog):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert keep_thread(None, "test", lambda: None) is None
    assert "thread test not started" in caplog.text
    assert keep_thread(None, "test", lambda: None) is not None


async def test_a_task_that_fails_begins_anew():
    before, works = restarts("test"), asyncio.Event()
    runs = 0

    async def run():
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("on purpose")
        works.set()

    async with asyncio.timeout(TIMEOUT):
        await run_again("test", run)
    assert works.is_set()
    assert restarts("test") == before + 2


async def test_a_periodic_task_whose_interval_fails_runs_on():
    asked, worked = 0, asyncio.Event()

    def seconds():
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("on purpose")
        return 0.01

    async def work():
        worked.set()

    task = asyncio.create_task(run_periodically(seconds, work))
    async with asyncio.timeout(TIMEOUT):
        await worked.wait()
    task.cancel()


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_fails_publishes_what_comes_after(monkeypatch, settings):
    settings.REALTIME_RELAY = False  # of the process: this test has its own
    ada = User.objects.create_user("ada")
    before, relay, published = restarts("relay"), Relay(), []
    monkeypatch.setattr(
        relay_module._ConfiguredPublisher, "publish", lambda self, messages: published.extend(messages)
    )
    fail = [True]
    batch = Relay._batch

    def fail_once(self, publisher):
        if fail.pop() if fail else False:
            raise ValueError("on purpose")
        return batch(self, publisher)

    monkeypatch.setattr(Relay, "_batch", fail_once)
    notify(ada, "announcement", "Hello")
    relay.assign([ada.pk])
    wait_for(lambda: restarts("relay") == before + 1)
    wait_for(lambda: Notification.objects.get().revision == 1)
    relay.publish([GroupMessage("group", {"type": "any"})])
    wait_for(lambda: published)
    assert relay.end(TIMEOUT)
    # Its connection is given back: nothing is left for the end of the interpreter.
    assert not relay._connected


@pytest.mark.django_db(transaction=True)
def test_a_presence_thread_that_fails_keeps_what_it_was_writing(monkeypatch):
    ada = User.objects.create_user("ada")
    before, loop, writer, written = restarts("presence"), LoopThread(), PresenceWriter(), []
    fail = [True]

    def write(self, process_id, batch):
        if fail.pop() if fail else False:
            raise ValueError("on purpose")
        written.extend(batch)
        return []

    monkeypatch.setattr(PresenceWriter, "_write", write)
    try:
        loop.run(writer.start)
        wait_for(lambda: writer.has_lease)
        writer.opened("0f0e8a52-0000-4000-8000-000000000001", ada.pk, "hash")
        wait_for(lambda: written)
        assert restarts("presence") == before + 1
        assert [(type(event), event.user_id) for event in written] == [(leases.Opened, ada.pk)]
        assert writer.flush(TIMEOUT)
    finally:
        writer.stop(TIMEOUT)
        loop.stop()
