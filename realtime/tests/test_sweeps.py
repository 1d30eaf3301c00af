import threading
from datetime import timedelta

import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client

from messaging import inboxes, profiles, pruning
from messaging.models import Inbox, Message, Notification, UserProfile
from messaging.notifications import notify
from messaging.sequencing import assign_revisions
from realtime import auth
from realtime.db import in_thread
from realtime.delivery import presence_fanout as presence_fanout_module
from realtime.delivery import sweeps
from realtime.delivery.presence_fanout import PresenceFanout
from realtime.outbound.envelopes import RevisionEnvelope
from realtime.outbound.relay import relay
from realtime.tests import layers
from realtime.tests.client import (
    TIMEOUT,
    eventually,
    eventually_in_database,
    notify_titles,
    notify_titles_one_by_one,
)

pytestmark = pytest.mark.django_db(transaction=True)


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


# --- Logins that end -----------------------------------------------------------------------------------------


def sign_out(key, user):
    client = Client()
    client.cookies[project_settings.SESSION_COOKIE_NAME] = key
    assert client.delete("/api/v1/session").status_code == 204


def deactivate(key, user):
    user.is_active = False
    user.save()


def change_password(key, user):
    user.set_password("another")
    user.save()


def delete(key, user):
    user.delete()


ENDS = [sign_out, deactivate, change_password, delete]


@pytest.mark.parametrize("end", ENDS)
async def test_a_login_that_ends_closes_its_sockets_at_once_with_4503(server, ada, grace, settings, end):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    tabs = [await server.connect(ada) for _ in range(2)]
    other = await server.connect(grace)
    await in_thread(end, await server.session(ada), ada)
    for tab in tabs:
        assert await tab.close_code() == 4503
    assert await other.received_so_far() == []


async def test_another_login_of_the_same_user_stays(server, ada, settings):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    first = await server.connect(ada)
    key = server.sessions.pop(ada.pk)
    second = await server.connect(ada)
    await in_thread(sign_out, key, ada)
    assert await first.close_code() == 4503
    assert await second.received_so_far() == []


async def test_an_ended_login_without_a_signal_is_found_by_the_recheck_in_one_batch(
    server, ada, grace, linus, settings
):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    sockets = {user: await server.connect(user) for user in (ada, grace, linus)}

    def quietly():
        Session.objects.filter(session_key=server.sessions[ada.pk]).delete()
        User.objects.filter(pk=grace.pk).update(is_active=False)

    settings.REALTIME_RELAY = False
    await in_thread(quietly)
    await server.hub.sweeps.recheck_all()
    assert await sockets[ada].close_code() == 4503
    assert await sockets[grace].close_code() == 4503
    assert await sockets[linus].received_so_far() == []


async def test_the_recheck_comes_by_itself(server, ada, settings):
    settings.REALTIME_RECHECK_SECONDS = 0.1
    settings.REALTIME_RELAY = False
    socket = await server.connect(ada)
    await in_thread(Session.objects.all().delete)
    assert await socket.close_code() == 4503


async def test_a_save_that_ends_no_login_closes_nothing(server, ada):
    socket = await server.connect(ada)

    def save():
        ada.first_name = "Ada"
        ada.save()

    await in_thread(save)
    await in_thread(notify_titles, ada, "After")
    await socket.until_revision(1)
    assert socket.titles == ["After"]
    assert await in_thread(auth.valid_logins, [server.sessions[ada.pk]])


# --- Presence ------------------------------------------------------------------------------------------------


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

    def fail(users):
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
