"""Presence without hints: the sweep finds every change, however late it was committed."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction

from messaging import contacts
from messaging.dialects import postgresql, sqlite
from messaging.models import Contact
from messaging.tests.presence import set_online
from realtime.db_threads import in_thread
from realtime.tests import layers
from realtime.tests.client import TIMEOUT, eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def without_hints(settings, monkeypatch):
    """Only a sweep, which the test makes itself, finds a change; and a change a millisecond late is late."""
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    monkeypatch.setattr(postgresql, "HORIZON_MARGIN", timedelta(0))


@pytest.fixture
def by_the_time_of_writing(monkeypatch):
    """The negative control: a sweep that takes a change's time for the time at which it could be seen."""
    monkeypatch.setattr(postgresql, "HORIZON", "SELECT statement_timestamp()")
    monkeypatch.setattr(sqlite, "MAX_TRANSACTION", timedelta(0))


@pytest.fixture
async def watcher(server, ada, grace):
    """Ada's socket; Grace is a contact of hers. The hub has begun to sweep."""
    await in_thread(contacts.meet, ada.pk, grace.pk)
    socket = await server.connect(ada)
    await eventually(lambda: server.hub.presence_fanout._horizon is not None)
    await sweep(server, socket)
    return socket


async def sweep(server, socket):
    """Sweep once. Returns the presence frames: (username, is_online)."""
    await server.hub.presence_fanout.sweep()
    frames = [frame for frame in await socket.received_so_far() if frame["type"] == "presence"]
    return [(frame["user"]["username"], frame["is_online"]) for frame in frames]


async def change_late(server, watcher, threads, grace):
    """Change Grace's presence in a transaction that is committed after a sweep. Returns what that sweep sent."""
    written, commit = threading.Event(), threading.Event()

    def change():
        with transaction.atomic():
            set_online([grace.pk])
            written.set()
            assert commit.wait(TIMEOUT)

    threads.start(change)
    assert await in_thread(written.wait, TIMEOUT)
    sent = await sweep(server, watcher)
    commit.set()
    await in_thread(threads.join)
    return sent


async def test_a_change_committed_after_a_sweep_is_found_by_the_next(server, watcher, threads, grace):
    assert await change_late(server, watcher, threads, grace) == []
    assert await sweep(server, watcher) == [("grace", True)]
    assert await sweep(server, watcher) == []


async def test_by_the_time_of_writing_it_would_never_be_found(
    by_the_time_of_writing, server, watcher, threads, grace
):
    assert await change_late(server, watcher, threads, grace) == []
    assert await sweep(server, watcher) == []
    assert await sweep(server, watcher) == []


async def test_a_change_before_the_first_regular_sweep_is_found_too(server, watcher, grace):
    await in_thread(set_online, [grace.pk])
    assert await sweep(server, watcher) == [("grace", True)]


async def test_new_contacts_get_each_others_presence_once_and_no_one_else_does(
    server, watcher, linus, margaret
):
    await in_thread(set_online, [linus.pk])
    other, stranger = await server.connect(linus), await server.connect(margaret)
    await sweep(server, watcher)
    await in_thread(contacts.meet, linus.pk, watcher_id := await in_thread(id_of, "ada"))
    assert await sweep(server, watcher) == [("linus", True)]
    assert [
        frame["user"]["id"] for frame in await other.received_so_far() if frame["type"] == "presence"
    ] == [watcher_id]
    assert await sweep(server, watcher) == []
    assert "presence" not in {frame["type"] for frame in await stranger.received_so_far()}
    assert await in_thread(Contact.objects.count) == 2


def id_of(username):
    return Contact.objects.filter(low__username=username).values_list("low_id", flat=True)[0]
