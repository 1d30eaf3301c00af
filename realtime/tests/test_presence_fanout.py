from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from messaging import inboxes, profiles, pruning
from messaging.models import Message, Notification, UserProfile
from messaging.notifications import notify
from messaging.sequencing import assign_revisions
from realtime.db_threads import in_thread
from realtime.delivery import presence_fanout as presence_fanout_module
from realtime.delivery import sweeps
from realtime.tests import layers
from realtime.tests.client import (
    eventually,
    eventually_in_database,
)

pytestmark = pytest.mark.django_db(transaction=True)


def meet(user, contact):
    Message.objects.create(sender=contact, receiver=user, content="Hello!")


def show(user, *, is_online):
    profile = UserProfile.objects.get(user=user)
    profile.is_online = is_online
    profile.save()


async def presence_of(socket, username, *, is_online):
    while socket.presence.get(username, {}).get("is_online") != is_online:
        await socket.next()
    return socket.presence[username]


async def test_contacts_see_who_comes_and_goes_and_others_do_not(server, ada, grace, linus):
    await in_thread(meet, ada, grace)
    socket, stranger = await server.connect(ada), await server.connect(linus)
    await in_thread(show, grace, is_online=True)
    frame = await presence_of(socket, "grace", is_online=True)
    assert frame.keys() == {"type", "user", "is_online", "last_seen", "version"}
    assert frame["user"] == {"id": grace.pk, "username": "grace"}
    await in_thread(show, grace, is_online=False)
    assert (await presence_of(socket, "grace", is_online=False))["version"] > frame["version"]
    assert "presence" not in [received["type"] for received in await stranger.received_so_far()]


async def test_new_contacts_are_sent_each_others_presence(server, ada, grace):
    await in_thread(show, grace, is_online=True)
    socket = await server.connect(ada)
    assert socket.presence == {}
    await in_thread(meet, ada, grace)
    await presence_of(socket, "grace", is_online=True)


async def test_with_a_layer_that_drops_everything_presence_arrives_by_the_sweep(server, ada, grace, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 0.1
    await in_thread(meet, ada, grace)
    socket = await server.connect(ada)
    await eventually(lambda: server.hub.presence_fanout._horizon is not None)
    await server.hub.presence_fanout.sweep()
    await in_thread(show, grace, is_online=True)
    await presence_of(socket, "grace", is_online=True)


async def test_presence_that_could_not_be_sent_is_sent_by_the_next_sweep(
    server, ada, grace, settings, monkeypatch
):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    await in_thread(meet, ada, grace)
    socket = await server.connect(ada)
    await eventually(lambda: server.hub.presence_fanout._horizon is not None)
    await server.hub.presence_fanout.sweep()
    await in_thread(show, grace, is_online=True)
    read = presence_fanout_module._read

    def fail(users, viewers_here):
        raise OperationalError("the database is away")

    monkeypatch.setattr(presence_fanout_module, "_read", fail)
    with pytest.raises(OperationalError):
        await server.hub.presence_fanout.sweep()
    monkeypatch.setattr(presence_fanout_module, "_read", read)
    await server.hub.presence_fanout.sweep()
    await presence_of(socket, "grace", is_online=True)


async def test_a_swept_change_is_sent_once(server, ada, grace, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    await in_thread(meet, ada, grace)
    await in_thread(inboxes.state, ada.pk)
    socket = await server.connect(ada)
    await eventually(lambda: server.hub.presence_fanout._horizon is not None)
    await server.hub.presence_fanout.sweep()
    await in_thread(show, grace, is_online=True)
    for _ in range(3):
        await server.hub.presence_fanout.sweep()
    received = [frame for frame in await socket.received_so_far() if frame["type"] == "presence"]
    assert [(frame["user"]["username"], frame["is_online"]) for frame in received].count(("grace", True)) == 1


async def test_status_notifications_toast_and_never_count(server, ada, grace):
    await in_thread(meet, ada, grace)
    await in_thread(inboxes.state, ada.pk)
    socket = await server.connect(ada)
    await eventually_in_database(lambda: profiles.presence([ada.pk], online_only=True))
    unread = socket.unread_count
    await in_thread(show, grace, is_online=True)
    while "grace is online" not in socket.titles:
        await socket.next()
    assert socket.unread_count == unread


async def test_status_notifications_are_removed_after_a_day(server, ada, grace, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 2)
    monkeypatch.setattr(sweeps, "EPHEMERAL_PAUSE_SECONDS", 0)

    def prepare():
        for number in range(5):
            for kind in ("user_online", "user_offline", "announcement"):
                notify(ada, kind, f"{kind} {number}")
        rows = Notification.objects.filter(user=ada)
        day = timedelta(days=1)
        old = rows.exclude(title__endswith="4")
        old.update(created_at=Now() - day - timedelta(minutes=1))
        rows.filter(title__endswith="4").update(created_at=Now() - day + timedelta(minutes=1))
        assign_revisions([ada.pk])
        return {row.pk for row in old.exclude(notification_type="announcement")}

    old = await in_thread(prepare)
    socket = await server.connect(ada)
    await server.hub.sweeps.remove_ephemeral()
    removed: set[int] = set()
    while removed != old:
        removed |= set((await socket.next()).get("removed", []))
    assert await in_thread(Notification.objects.filter(user=ada).count) == 15 - len(old)


def test_to_look_for_it_costs_one_query_when_there_is_none(ada, django_assert_max_num_queries):
    notify(ada, "user_online", "New")
    with django_assert_max_num_queries(3):  # with BEGIN and COMMIT
        assert pruning.remove_ephemeral() == 0
