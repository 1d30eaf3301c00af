import asyncio
import threading

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import QuerySet

from messaging import inboxes
from messaging.models import Inbox, Notification
from realtime import counters
from realtime.db_threads import in_thread
from realtime.delivery import sweeps
from realtime.delivery.presence_fanout import PresenceFanout
from realtime.outbound.envelopes import RevisionEnvelope
from realtime.outbound.relay import relay
from realtime.tests.client import (
    TIMEOUT,
    eventually,
    notify_titles,
    notify_titles_one_by_one,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unnumbered")]


# --- The sweep -----------------------------------------------------------------------------------------------


async def test_what_was_committed_by_hand_arrives(server, ada, settings):
    settings.REALTIME_PENDING_SECONDS = 0.1
    settings.REALTIME_SWEEP_SECONDS = 0.2
    socket = await server.connect(ada)

    def by_hand():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO messaging_notification"
                " (user_id, notification_type, title, description, level, is_read)"
                " VALUES (%s, 'announcement', 'By hand', '', 'info', %s)",
                [ada.pk, False],
            )

    await in_thread(by_hand)
    await socket.until_revision(1)
    assert socket.titles == ["By hand"]


async def test_what_was_created_in_bulk_arrives(server, ada):
    socket = await server.connect(ada)
    rows = [
        Notification(user=ada, notification_type="announcement", title=f"Number {number}")
        for number in range(5)
    ]
    await in_thread(Notification.objects.bulk_create, rows)
    await socket.until_revision(1)
    assert socket.titles == [f"Number {number}" for number in range(5)]


async def test_what_a_process_without_a_relay_commits_arrives(server, ada, settings):
    settings.REALTIME_RELAY = False
    settings.REALTIME_PENDING_SECONDS = settings.REALTIME_SWEEP_SECONDS = 0.1
    socket = await server.connect(ada)
    rows = [Notification(user=ada, notification_type="announcement", title="In bulk")]
    await in_thread(Notification.objects.bulk_create, rows)
    await socket.until_revision(1)
    await in_thread(notify_titles, ada, "By notify")
    await socket.until_revision(2)
    assert socket.titles == ["In bulk", "By notify"]


async def test_with_the_sweep_switched_off_what_was_committed_by_hand_does_not_arrive(server, ada, settings):
    settings.REALTIME_RELAY = False
    settings.REALTIME_PENDING_SECONDS = settings.REALTIME_SWEEP_SECONDS = 1_000_000
    socket = await server.connect(ada)
    await in_thread(notify_titles, ada, "No event")
    assert await socket.received_so_far() == []
    settings.REALTIME_PENDING_SECONDS = 0
    await server.hub.sweeps.sweep_pending()
    assert await socket.received_so_far() == []
    await server.hub.sweeps.sweep()
    await socket.until_revision(1)


async def test_a_sweep_that_finds_nothing_sends_nothing(server, ada):
    await in_thread(notify_titles_one_by_one, ada, "First")
    socket = await server.connect(ada)
    await server.hub.sweeps.sweep()
    await server.hub.sweeps.sweep_pending()
    assert await socket.received_so_far() == []
    assert server.client_socket(ada).is_live


async def test_after_the_epochs_were_rotated_live_sockets_are_reset(server, ada):
    await in_thread(notify_titles_one_by_one, ada, "First")
    socket = await server.connect(ada)
    await in_thread(call_command, "rotate_epoch")
    await server.hub.sweeps.sweep()
    reset = (await socket.until("reset"))[-1]
    assert (reset["reason"], reset["revision"]) == ("new_epoch", 1)
    await server.hub.sweeps.sweep()
    await in_thread(notify_titles_one_by_one, ada, "Second")
    assert (await socket.next())["revision"] == 2
    assert socket.titles == ["Second"]


async def test_a_wrong_count_is_repaired_and_live_sockets_are_reset(server, ada, caplog):
    await in_thread(notify_titles_one_by_one, ada, *"abc")
    socket = await server.connect(ada)
    await server.hub.sweeps.repair_inboxes()
    assert await socket.received_so_far() == []
    before = counters.repaired_inboxes._value.get()
    await in_thread(Inbox.objects.filter(user=ada).update, unread_count=-3)
    await server.hub.sweeps.repair_inboxes()
    reset = (await socket.until("reset"))[-1]
    assert (reset["reason"], reset["unread_count"]) == ("new_epoch", 3)
    await server.hub.sweeps.repair_inboxes()
    assert counters.repaired_inboxes._value.get() == before + 1
    assert caplog.text.count(f"user={ada.pk} from -3 to 3") == 1
    await in_thread(notify_titles_one_by_one, ada, "After")
    frame = await socket.next()
    assert (frame["revision"], frame["unread_count"]) == (reset["revision"] + 1, 4)


async def test_both_owners_sockets_are_sent_a_notification_that_was_given_away(server, ada, grace, settings):
    settings.REALTIME_PENDING_SECONDS = 0.1
    await in_thread(notify_titles_one_by_one, ada, *"abc")
    sockets = [await server.connect(user) for user in (ada, grace)]

    def give_away():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE messaging_notification SET user_id = %s WHERE user_id = %s AND title <> 'a'",
                [grace.pk, ada.pk],
            )

    await in_thread(give_away)
    frames = [(await sockets[0].until_revision(4))[-1], (await sockets[1].until_revision(1))[-1]]
    assert [frame["unread_count"] for frame in frames] == [1, 2]
    assert len(frames[0]["removed"]) == 2
    assert sockets[1].titles == ["b", "c"]


async def test_after_an_inbox_went_back_live_sockets_are_reset_and_receive_what_follows(server, ada):
    """A backup was restored without rotate_epoch."""
    await in_thread(notify_titles_one_by_one, ada, *"abcde")
    socket = await server.connect(ada)
    await in_thread(QuerySet(Notification).filter(revision__gt=2).delete)
    await in_thread(Inbox.objects.filter(user=ada).update, revision=2, unread_count=2)
    await server.hub.sweeps.sweep()
    reset = (await socket.until("reset"))[-1]
    assert (reset["reason"], reset["revision"]) == ("unknown_revision", 2)
    # Pushed before the restoration and kept since: nothing will ever come before it.
    server.user_sockets(ada).push(RevisionEnvelope(ada.pk, 9, 9, "{}"))
    await socket.until("synced")
    assert await socket.received_so_far() == []
    await in_thread(notify_titles_one_by_one, ada, "Again")
    await socket.until_revision(3)
    assert socket.titles == ["Again"]


async def test_a_sweep_leaves_alone_what_the_push_brings_meanwhile(server, ada, settings, monkeypatch):
    """The cursor may be above what the sweep read before it."""
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    socket = await server.connect(ada)
    read, asked = inboxes.positions, threading.Event()

    def slowly(users):
        found = read(users)
        if not asked.is_set():
            asked.set()
            notify_titles_one_by_one(ada, "In between")
            assert relay.flush(TIMEOUT)
        return found

    monkeypatch.setattr(inboxes, "positions", slowly)
    await server.hub.sweeps.sweep()
    frames = await socket.until_revision(1)
    assert [frame["replayed"] for frame in frames if frame["type"] == "inbox"] == [False]
    assert await socket.received_so_far() == []


async def test_what_is_pending_for_less_than_its_time_is_left_to_the_relay(server, ada, settings):
    settings.REALTIME_RELAY = False
    settings.REALTIME_PENDING_SECONDS = 1000
    await in_thread(notify_titles, ada, "Just now")
    await server.hub.sweeps.sweep_pending()
    assert (await in_thread(inboxes.positions, [ada.pk]))[ada.pk].revision == 0


@pytest.mark.parametrize(
    ("owner", "work"),
    [
        (sweeps.Sweeps, "sweep"),
        (sweeps.Sweeps, "sweep_pending"),
        (PresenceFanout, "sweep"),
        (sweeps.Sweeps, "recheck_all"),
        (sweeps.Sweeps, "send_heartbeats"),
    ],
)
async def test_a_periodic_task_that_fails_closes_no_socket_and_goes_on(
    server, ada, settings, monkeypatch, owner, work
):
    settings.REALTIME_SWEEP_SECONDS = settings.REALTIME_PENDING_SECONDS = 0.02
    settings.REALTIME_RECHECK_SECONDS, settings.REALTIME_HEARTBEAT_SECONDS = 0.02, 0
    monkeypatch.setattr(sweeps, "HEARTBEAT_CHECK_SECONDS", 0.02)
    calls = []

    async def fail(self):
        calls.append(work)
        raise OperationalError("the database is away")

    monkeypatch.setattr(owner, work, fail)
    fail.__name__ = work
    socket = await server.connect(ada)
    await eventually(lambda: len(calls) >= 2)
    assert "pong" not in [frame["type"] for frame in await socket.received_so_far()]


# --- Heartbeats ----------------------------------------------------------------------------------------------


async def beat(server, user):
    """Let the time of the next heartbeat come."""
    for one in server.user_sockets(user).sockets:
        one.heartbeat_due = 0
    await server.hub.sweeps.send_heartbeats()


async def test_a_heartbeat_carries_the_last_revision_sent_and_the_count(server, ada):
    await in_thread(notify_titles_one_by_one, ada, "First")
    socket = await server.connect(ada)
    await beat(server, ada)
    frame = await socket.next()
    assert frame.keys() == {"type", "revision", "unread_count", "server_time"}
    assert (frame["type"], frame["revision"], frame["unread_count"]) == ("heartbeat", 1, 1)
    await in_thread(notify_titles_one_by_one, ada, "Second")
    await socket.until_revision(2)
    await beat(server, ada)
    frame = await socket.next()
    assert (frame["revision"], frame["unread_count"]) == (2, 2)


async def test_heartbeats_are_sent_periodically(server, ada, settings, monkeypatch):
    monkeypatch.setattr(sweeps, "HEARTBEAT_CHECK_SECONDS", 0.02)
    settings.REALTIME_HEARTBEAT_SECONDS = 1
    socket = await server.open(ada)
    frames = await socket.until("heartbeat")
    assert frames[0]["heartbeat_seconds"] == 1
    await socket.until("heartbeat")


async def test_a_heartbeat_that_is_not_due_is_not_sent(server, ada):
    socket = await server.connect(ada)
    server.client_socket(ada).heartbeat_due = float("inf")
    await server.hub.sweeps.send_heartbeats()
    assert await socket.received_so_far() == []


async def test_a_socket_that_takes_nothing_gets_its_heartbeat_when_it_does(server, ada, monkeypatch):
    monkeypatch.setattr("realtime.delivery.backlog.MAX_BACKLOG_FRAMES", 5)
    socket = await server.connect(ada, send_queue_size=1)
    await in_thread(notify_titles_one_by_one, ada, *"1234")
    await eventually(lambda: server.client_socket(ada).cursor == 4)
    assert server.client_socket(ada).is_blocked
    await beat(server, ada)
    # The backlog overflows: what it held of the inbox is read again.
    await in_thread(notify_titles_one_by_one, ada, *"56789")
    await eventually(lambda: not server.client_socket(ada).is_live)
    frames = await socket.until_revision(9)
    assert "heartbeat" not in {frame["type"] for frame in frames}
    await eventually(lambda: not server.client_socket(ada).is_blocked)
    await server.hub.sweeps.send_heartbeats()
    frame = await socket.next()
    assert (frame["type"], frame["revision"], frame["unread_count"]) == ("heartbeat", 9, 9)


async def test_a_locked_table_is_logged_once_and_so_is_its_end(server, ada, settings, monkeypatch, caplog):
    monkeypatch.setattr(sweeps, "SLOW_SECONDS", 0.05)
    released = threading.Event()
    monkeypatch.setattr(inboxes, "pending_users", lambda **options: [released.wait(TIMEOUT)][1:])
    sweep = asyncio.create_task(server.hub.sweeps.sweep_pending())
    await eventually(lambda: "pending notifications not read for" in caplog.text)
    released.set()
    await sweep
    await server.hub.sweeps.sweep_pending()
    began, ended = [line for line in caplog.messages if line.startswith("pending notifications ")]
    assert "`manage.py doorbell_status` names the lock" in began
    assert ended.startswith("pending notifications are read again after ")
