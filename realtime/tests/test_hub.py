import asyncio
import random
import threading

import pytest
from channels.layers import get_channel_layer
from django.db import transaction

from messaging import inboxes
from messaging.models import Notification
from messaging.notifications import mark_read
from messaging.tests.domain_replica import fresh_read
from realtime.db_threads import in_thread
from realtime.delivery import hub as hub_module
from realtime.outbound.envelopes import VERSION, user_group
from realtime.outbound.receivers import flush
from realtime.tests import layers
from realtime.tests.client import TIMEOUT, eventually, notify_titles, notify_titles_one_by_one

pytestmark = pytest.mark.django_db(transaction=True)


async def check_copy(socket, user):
    """A client that has everything holds what a fresh read returns, and got every row once."""
    truth = await in_thread(fresh_read, user.pk)
    assert (socket.revision, socket.unread_count) == (truth.revision, truth.unread_count)
    assert {pk: truth.read_marks[pk] for pk in socket.read_marks} == socket.read_marks
    assert set(socket.times_added.values()) <= {1}
    return truth


# --- Live ----------------------------------------------------------------------------------------------------


async def test_every_tab_receives_every_revision_and_no_other_user_does(server, ada, grace):
    tabs = [await server.connect(ada) for _ in range(3)]
    stranger = await server.connect(grace)
    titles = [f"Number {number}" for number in range(10)]
    await in_thread(notify_titles_one_by_one, ada, *titles)
    for tab in tabs:
        await tab.until_revision(10)
        assert tab.titles == titles
        await check_copy(tab, ada)
    assert await stranger.received_so_far() == []


async def test_a_burst_is_received_in_order(server, ada):
    socket = await server.connect(ada)
    titles = [f"Number {number}" for number in range(500)]
    await in_thread(notify_titles, ada, *titles)
    while len(socket.titles) < 500:
        await socket.next()
    assert socket.titles == titles
    await check_copy(socket, ada)


async def test_a_rolled_back_notification_is_never_received(server, ada):
    socket = await server.connect(ada)

    def roll_back():
        try:
            with transaction.atomic():
                notify_titles(ada, "Never")
                raise InterruptedError
        except InterruptedError:
            notify_titles(ada, "But this")

    await in_thread(roll_back)
    await socket.until_revision(1)
    assert socket.titles == ["But this"]


async def test_tabs_with_different_since_and_one_that_attaches_later_get_everything_once(server, ada):
    await in_thread(notify_titles_one_by_one, ada, *(f"Before {number}" for number in range(30)))
    total, rng, attaching = 200, random.Random(3), threading.Event()

    def pour():
        for number in range(total):
            if number == total // 2:
                # Not done before the late one comes, however fast this machine is.
                assert attaching.wait(TIMEOUT)
            [pk] = notify_titles(ada, f"Number {number}")
            if rng.random() < 0.2:
                mark_read(ada, [pk])

    pouring = asyncio.create_task(in_thread(pour))
    tabs = [await server.open(ada, since=since) for since in (0, 10, 30)]
    reading = [asyncio.create_task(tab.until_revision(31)) for tab in tabs]
    await asyncio.gather(*reading)
    # Somewhere in the middle: what it starts from is what the others have received so far, or less.
    since = tabs[0].revision
    attaching.set()
    late = await server.open(ada, since=since)
    await pouring
    last = (await in_thread(inboxes.state, ada.pk)).revision
    await asyncio.gather(*(tab.until_revision(last) for tab in [*tabs, late]))
    for tab, first in zip(tabs, (0, 10, 30), strict=True):
        assert tab.titles[: 30 - first] == [f"Before {number}" for number in range(first, 30)]
        assert sorted(tab.titles[30 - first :]) == sorted(f"Number {number}" for number in range(total))
        await check_copy(tab, ada)
    await check_copy(late, ada)
    assert len(late.titles) == len(set(late.titles)) > 0


# --- Layers that lose, double and shuffle ----------------------------------------------------------------------


async def test_with_a_layer_that_drops_everything_all_arrives_in_order_once(server, ada, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 0.1
    tabs = [await server.connect(ada) for _ in range(2)]
    titles = [f"Number {number}" for number in range(150)]

    await in_thread(notify_titles, ada, *titles)
    last = (await in_thread(inboxes.state, ada.pk)).revision
    for tab in tabs:
        await tab.until_revision(last)
        assert tab.titles == titles
        await check_copy(tab, ada)
    await eventually(lambda: get_channel_layer().dropped > 0)


async def test_with_a_layer_that_drops_everything_and_no_sweep_nothing_arrives(server, ada, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = settings.REALTIME_PENDING_SECONDS = 1_000_000
    socket = await server.connect(ada)
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    await eventually(lambda: get_channel_layer().dropped >= 2)
    assert await socket.received_so_far() == []
    # Only the sweep was missing.
    await server.hub.sweeps.sweep()
    await socket.until_revision(2)
    assert socket.titles == ["First", "Second"]


async def test_with_a_layer_that_doubles_and_shuffles_all_arrives_in_order_once(server, ada, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DuplicatingAndReorderingLayer)
    tabs = [await server.connect(ada, since=0) for _ in range(3)]
    titles = [f"Number {number}" for number in range(150)]
    await in_thread(notify_titles_one_by_one, ada, *titles)
    for tab in tabs:
        await tab.until_revision(150)
        assert tab.titles == titles
        await check_copy(tab, ada)
    delivered = [revision for revision in get_channel_layer().delivered if revision]
    assert delivered != sorted(delivered), "the layer was to shuffle"


async def test_with_a_layer_that_refuses_everything_all_arrives(server, ada, settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.FailingLayer)
    settings.REALTIME_SWEEP_SECONDS = 0.1
    socket = await server.connect(ada)
    await in_thread(notify_titles, ada, "First", "Second")
    while len(socket.titles) < 2:
        await socket.next()
    assert socket.titles == ["First", "Second"]


async def test_a_group_that_cannot_be_joined_delays_and_loses_nothing(server, ada, settings, monkeypatch):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    monkeypatch.setattr(hub_module, "JOIN_SECONDS", 0.05)
    layer, join = get_channel_layer(), get_channel_layer().group_add
    failures: list[str] = []
    over = asyncio.Event()

    async def refuse(group, channel):
        if group == user_group(ada.pk) and not over.is_set():
            failures.append(group)
            raise ConnectionError("not now")
        await join(group, channel)

    monkeypatch.setattr(layer, "group_add", refuse)
    # Where a group isn't joined the sweep comes every second, whatever is set.
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    monkeypatch.setattr(
        "realtime.delivery.sweeps.Sweeps._sweep_seconds", lambda self: 0.05 if self._layer_degraded() else 60
    )
    socket = await server.connect(ada)
    assert not server.user_sockets(ada).joined
    await in_thread(notify_titles, ada, "Hello")
    await socket.until_revision(1)
    over.set()
    await eventually(lambda: server.user_sockets(ada).joined)
    assert failures


async def test_with_a_redis_that_was_never_there_all_arrives_by_sweeps_and_the_log_stays_quiet(
    server, ada, settings, caplog
):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "realtime.channel_layer.GuardedRedisLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1"], "prefix": "doorbell"},
        }
    }
    # While the layer is known to be away the sweep comes every second, whatever is set.
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    tabs = [await server.connect(ada) for _ in range(2)]
    for number in range(3):
        await in_thread(notify_titles, ada, f"Number {number}")
        for tab in tabs:
            await tab.until_revision(number + 1)
    assert not server.user_sockets(ada).joined
    warnings = [record for record in caplog.records if record.name.startswith("realtime")]
    assert len(warnings) <= 3, [record.message for record in warnings]


async def lose(server, user):
    """A socket of this user's whose layer has lost a notification."""
    socket = await server.connect(user)
    await in_thread(notify_titles, user, "Lost")
    # Numbered, too: until then there is nothing to find.
    assert await asyncio.to_thread(flush, TIMEOUT)
    assert await socket.received_so_far() == []
    return socket


@pytest.fixture
def losing(settings):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_SWEEP_SECONDS = 1_000_000


async def test_a_sleeping_sweep_is_woken_when_the_layer_falls_ill(server, ada, losing, monkeypatch):
    socket = await lose(server, ada)
    monkeypatch.setattr(server.hub.sweeps, "_layer_degraded", lambda: True)
    await socket.until_revision(1)


async def test_after_a_gap_all_are_swept_at_once(server, ada, losing):
    socket = await lose(server, ada)
    server.hub._gap.set()
    await socket.until_revision(1)
    assert socket.titles == ["Lost"]


async def test_a_sweep_after_a_gap_that_fails_is_tried_again(server, ada, losing, monkeypatch):
    socket = await lose(server, ada)
    sweep = server.hub.sweeps.sweep
    failures: list[int] = []

    async def fail_once():
        if not failures:
            failures.append(1)
            raise OSError("the database is away")
        await sweep()

    monkeypatch.setattr(server.hub.sweeps, "sweep", fail_once)
    server.hub._gap.set()
    await socket.until_revision(1)
    assert failures


# --- Messages that aren't ours ---------------------------------------------------------------------------------


def envelope(kind, **fields):
    """A message as another process, or another version of the server, may send it."""
    return {"type": f"doorbell.{kind}", "v": VERSION, **fields}


def inbox_message(owner, **changed):
    message = envelope("inbox", user=owner.pk, revision=1, unread_count=1, frame='{"type":"x"}')
    return message | changed


BAD = [
    {"type": "doorbell.more", "v": VERSION},
    {"type": "chat.message", "text": "Hello"},
    {"type": "doorbell.inbox"},
    {"type": ["doorbell.inbox"], "v": VERSION},
    {"v": VERSION},
    {},
    envelope("inbox"),
    envelope("presence"),
    envelope("presence", users=None),
    envelope("presence", users=["x"]),
    envelope("recheck"),
    envelope("recheck", user=[1]),
    envelope("close", user=1),
    envelope("close", user=1, code="x", connection="c"),
]


async def test_bad_messages_from_the_layer_are_counted_and_ignored(server, ada):
    socket = await server.connect(ada)
    layer, group = get_channel_layer(), user_group(ada.pk)
    bad = [
        *BAD,
        inbox_message(ada, v=VERSION + 1),
        inbox_message(ada, revision="1"),
        inbox_message(ada, revision=None),
        inbox_message(ada, unread_count=[]),
        inbox_message(ada, frame=None),
        inbox_message(ada, frame={"type": "inbox"}),
        inbox_message(ada, user={}),
    ]
    for message in bad:
        await layer.group_send(group, message)
    await eventually(lambda: server.hub.ignored == len(bad))
    assert await socket.received_so_far() == []
    await in_thread(notify_titles, ada, "Still there")
    await socket.until_revision(1)
    assert socket.titles == ["Still there"]


async def test_messages_for_people_who_are_not_here_are_passed_over(server, ada, grace):
    socket = await server.connect(ada)
    for message in (
        inbox_message(grace),
        envelope("recheck", user=grace.pk),
        envelope("close", user=grace.pk, connection="c", code=4502),
        envelope("close", user=ada.pk, connection="another", code=4502),
        envelope("presence", users=[grace.pk, 10**9]),
        envelope("presence", users=[]),
    ):
        server.hub.handle(message)
    assert server.hub.ignored == 0
    assert await socket.received_so_far() == []


async def test_a_close_envelope_closes_one_socket(server, ada):
    first = await server.connect(ada)
    connection = server.client_socket(ada)
    second = await server.connect(ada)
    server.hub.handle(envelope("close", user=ada.pk, connection=connection.id, code=4502))
    assert await first.close_code() == 4502
    assert await second.received_so_far() == []


# --- Feeds -----------------------------------------------------------------------------------------------------


async def test_a_group_is_kept_for_a_while_after_the_last_socket(server, ada, settings, monkeypatch):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DuplicatingAndReorderingLayer)
    socket = await server.connect(ada)
    assert user_group(ada.pk) in get_channel_layer().groups
    await socket.disconnect()
    assert ada.pk in server.hub.users
    assert user_group(ada.pk) in get_channel_layer().groups
    monkeypatch.setattr(hub_module, "LINGER_SECONDS", 0.05)
    socket = await server.connect(ada)
    await socket.disconnect()
    await eventually(lambda: ada.pk not in server.hub.users)
    assert user_group(ada.pk) not in get_channel_layer().groups


async def test_a_reload_finds_its_group_still_joined(server, ada, monkeypatch):
    monkeypatch.setattr(hub_module, "LINGER_SECONDS", 0.05)
    for number in range(5):
        socket = await server.connect(ada)
        await in_thread(notify_titles_one_by_one, ada, f"Number {number}")
        await socket.until_revision(number + 1)
        assert socket.titles == [f"Number {number}"]
        await socket.disconnect()


async def test_reloads_while_the_group_is_being_left_lose_nothing(server, ada, monkeypatch):
    monkeypatch.setattr(hub_module, "LINGER_SECONDS", 0)
    since = 0
    for number in range(20):
        socket = await server.connect(ada, since=since)
        await in_thread(notify_titles, ada, f"Number {number}")
        await socket.until_revision(since + 1)
        since = socket.revision
        await socket.disconnect()
    assert since == 20
    assert await in_thread(Notification.objects.count) == 20


async def test_a_loop_has_one_hub(server):
    assert hub_module.running_hub() is hub_module.running_hub()


async def test_a_hub_stops_although_its_layer_loses_a_cancellation(server, settings, monkeypatch):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    new_channel, asked = get_channel_layer().new_channel, asyncio.Event()

    async def lose_it():
        asked.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return await new_channel()

    monkeypatch.setattr(get_channel_layer(), "new_channel", lose_it)
    running = server.hub
    await asked.wait()
    async with asyncio.timeout(10):
        await running.stop()
    assert all(task.done() for task in running._tasks)
