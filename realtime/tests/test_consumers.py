import asyncio
import json
import threading
import uuid
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from messaging import inboxes
from messaging.models import Inbox, Message, UserProfile
from messaging.notifications import mark_read, mark_unread, remove
from messaging.sequencing import assign_revisions
from realtime import protocol
from realtime.conf import conf
from realtime.db import in_thread
from realtime.delivery import drain, recovery
from realtime.delivery.hub import running_hub
from realtime.presence.writer import presence_writer
from realtime.sockets import consumers
from realtime.tests.client import TIMEOUT, eventually, handshake, notify_titles, notify_titles_one_by_one

pytestmark = pytest.mark.django_db(transaction=True)


# --- The handshake -------------------------------------------------------------------------------------------


async def test_a_new_socket_hears_hello_presence_state_synced_in_this_order(server, ada):
    socket = await server.open(ada)
    hello, presence_state, synced = await socket.until("synced")
    inbox = await in_thread(lambda: Inbox.objects.get(user=ada))
    uuid.UUID(hello.pop("connection_id"))
    assert datetime.fromisoformat(hello.pop("server_time")).utcoffset().total_seconds() == 0
    assert hello == {
        "type": "hello",
        "protocol": 1,
        "user": {"id": ada.pk, "username": "ada"},
        "epoch": inbox.epoch,
        "revision": 0,
        "unread_count": 0,
        "resumed": False,
        "heartbeat_seconds": 25,
    }
    assert presence_state == {"type": "presence_state", "online": []}
    assert synced == {"type": "synced", "revision": 0, "unread_count": 0}


async def test_the_subprotocol_is_echoed_if_it_was_offered(server, ada):
    headers = handshake(await server.session(ada))
    assert await server.socket(headers=headers, subprotocols=["other", "notifications.v1"]).open() == (
        "notifications.v1"
    )
    assert await server.socket(headers=headers, subprotocols=["other"]).open() is None
    assert await server.socket(headers=headers).open() is None


async def test_who_is_not_signed_in_is_accepted_and_closed_with_4500(server):
    socket = server.socket(headers=[(b"host", b"testserver"), (b"origin", b"http://testserver")])
    await socket.open()
    assert await socket.close_code() == 4500
    await socket.disconnect()


async def test_an_unknown_session_is_closed_with_4500(server, db):
    socket = server.socket(headers=handshake("nobody"))
    await socket.open()
    assert await socket.close_code() == 4500


async def test_another_path_is_refused_and_nothing_raises(server, ada):
    for path in ("/", "/ws/", "/ws/notifications", "/ws/notifications/more/"):
        socket = server.socket("", handshake(await server.session(ada)))
        socket.communicator.scope["path"] = path
        assert await socket.communicator.connect(timeout=10) == (False, 1000)
        await socket.disconnect()


async def test_the_contacts_who_are_online_come_second(server, ada, grace, linus, margaret):
    def meet():
        for contact in (grace, linus):
            Message.objects.create(sender=contact, receiver=ada, content="Hello!")
        UserProfile.objects.filter(user__in=[grace, margaret]).update(is_online=True, version=4)

    await in_thread(meet)
    socket = await server.open(ada)
    await socket.next()
    state = await socket.next()
    assert state == {
        "type": "presence_state",
        "online": [
            {
                "user": {"id": grace.pk, "username": "grace"},
                "is_online": True,
                "last_seen": None,
                "version": 4,
            }
        ],
    }


async def test_who_talks_at_once_is_greeted_before_it_is_answered(server, ada, monkeypatch):
    """The reader takes its time: a client that doesn't wait for hello gets it first all the same."""
    asked, go_on, read = asyncio.Event(), threading.Event(), recovery._read
    loop = asyncio.get_running_loop()

    def patient(*arguments):
        loop.call_soon_threadsafe(asked.set)
        assert go_on.wait(TIMEOUT)
        return read(*arguments)

    monkeypatch.setattr(recovery, "_read", patient)
    socket = await server.open(ada, since=0)
    await asked.wait()
    for command in ({"type": "ping", "ref": "a"}, {"type": "resume", "since": 0}, {"type": "nonsense"}):
        await socket.send_command(**command)
    await eventually(lambda: len(next(iter(running_hub().users[ada.pk].sockets))._before_hello) == 3)
    go_on.set()
    kinds = [frame["type"] for frame in await socket.until("synced")]
    assert kinds[:5] == ["hello", "presence_state", "pong", "error", "error"]


# --- Catching up ---------------------------------------------------------------------------------------------


async def test_without_since_nothing_is_replayed(server, ada):
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    frames = await (await server.open(ada)).until("synced")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "synced"]
    assert (frames[0]["revision"], frames[0]["unread_count"], frames[0]["resumed"]) == (2, 2, False)
    assert frames[-1] == {"type": "synced", "revision": 2, "unread_count": 2}


async def test_since_brings_what_changed_after_it(server, ada):
    first, second, third = await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")
    socket = await server.open(ada, since=1)
    frames = await socket.until("synced")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "inbox", "synced"]
    hello, _, inbox, synced = frames
    assert (hello["revision"], hello["resumed"]) == (3, True)
    assert (inbox["revision"], inbox["replayed"], inbox["unread_count"]) == (3, True, 3)
    assert [row["id"] for row in inbox["added"]] == [second, third]
    assert synced == {"type": "synced", "revision": 3, "unread_count": 3}
    assert first not in socket.read_marks


async def test_a_replay_tells_each_row_once_in_its_present_state(server, ada):
    first, second, third = await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")

    def change():
        mark_read(ada, [first])
        assign_revisions([ada.pk])
        mark_unread(ada, [first])
        mark_read(ada, [second])
        remove(ada, [third])
        return inboxes.state(ada.pk).revision

    revision = await in_thread(change)
    socket = await server.connect(ada, since=0)
    assert socket.read_marks == {first: False, second: True}
    assert socket.times_added == {first: 1, second: 1}
    assert (socket.revision, socket.unread_count) == (revision, 1)


async def test_what_is_committed_but_not_numbered_yet_is_in_the_catch_up(server, ada, settings):
    settings.REALTIME_RELAY = False
    [row] = await in_thread(notify_titles, ada, "Nobody has told")
    socket = await server.connect(ada, since=0)
    assert socket.read_marks == {row: False}


async def test_a_thousand_missed_rows_come_in_pages(server, ada):
    await in_thread(notify_titles, ada, *map(str, range(1000)))
    await server.connect(ada)
    socket = await server.open(ada, since=0)
    frames = await socket.until("synced")
    assert len(socket.read_marks) == 1000
    assert max(len(frame.get("added", [])) for frame in frames) <= 100
    assert set(socket.times_added.values()) == {1}


@pytest.mark.parametrize(
    ("since", "epoch", "reason"),
    [
        (0, "other", "new_epoch"),
        ("x", "other", "new_epoch"),
        (0, "", "new_epoch"),
        ("", None, "unknown_revision"),
        ("x", None, "unknown_revision"),
        (-1, None, "unknown_revision"),
        (4, None, "unknown_revision"),
        (2**63 - 1, None, "unknown_revision"),
        (2**63, None, "unknown_revision"),
        (0, None, "history_removed"),
    ],
)
async def test_a_since_that_cannot_be_served_is_answered_with_its_reset(server, ada, since, epoch, reason):
    def set_up():
        notify_titles_one_by_one(ada, "First", "Second", "Third")
        Inbox.objects.filter(user=ada).update(floor=1)

    await in_thread(set_up)
    query = f"since={since}" + (f"&epoch={epoch}" if epoch is not None else "")
    socket = server.socket(query, handshake(await server.session(ada)))
    await socket.open()
    frames = await socket.until("reset")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "reset"]
    assert not frames[0]["resumed"]
    assert frames[-1] == {"type": "reset", "revision": 3, "unread_count": 3, "reason": reason}
    await in_thread(notify_titles, ada, "After")
    assert (await socket.next())["revision"] == 4


async def test_more_than_a_thousand_missed_rows_are_a_reset(server, ada):
    await in_thread(notify_titles, ada, *map(str, range(1001)))
    socket = await server.open(ada, since=0)
    assert (await socket.until("reset"))[-1]["reason"] == "too_far_behind"
    await in_thread(notify_titles, ada, "After")
    assert (await socket.until("inbox"))[-1]["added"][0]["title"] == "After"


async def test_the_epoch_of_hello_is_good_for_the_next_since(server, ada):
    hello = (await (await server.open(ada)).until("synced"))[0]
    await in_thread(notify_titles, ada, "Missed")
    again = await server.connect(ada, since=hello["revision"], epoch=hello["epoch"])
    assert again.titles == ["Missed"]


async def test_live_frames_tell_each_change_as_what_it_is(server, ada, settings):
    # On a busy machine it may bring what is pushed late.
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    socket = await server.connect(ada)
    [row] = await in_thread(notify_titles, ada, "Hello")
    [added] = await socket.until_revision(1)
    assert [entry["id"] for entry in added["added"]] == [row]
    assert (added["replayed"], added["unread_count"]) == (False, 1)
    for revision, (change, name, unread) in enumerate(
        [(mark_read, "read", 0), (mark_unread, "unread", 1), (remove, "removed", 0)], 2
    ):
        await in_thread(change, ada, [row])
        [frame] = await socket.until_revision(revision)
        assert frame[name] == [row]
        assert sum(len(frame[key]) for key in ("added", "read", "unread", "removed")) == 1
        assert (frame["revision"], frame["unread_count"], frame["replayed"]) == (revision, unread, False)


# --- Commands ------------------------------------------------------------------------------------------------


async def test_a_ping_is_answered_with_its_ref(server, ada):
    socket = await server.connect(ada)
    await socket.send_command(type="ping", ref="é" * 64)
    assert await socket.next() == {"type": "pong", "ref": "é" * 64}


@pytest.mark.parametrize(
    ("text", "code", "ref"),
    [
        ("{", "bad_json", None),
        ('{"type": "publish", "ref": "r"}', "unknown_type", "r"),
        ('{"type": "ping", "ref": 1}', "bad_request", None),
        ('{"type": "ping", "ref": "\\ud800"}', "bad_json", None),
    ],
)
async def test_a_bad_command_is_answered_and_the_socket_stays_open(server, ada, text, code, ref):
    socket = await server.connect(ada)
    await socket.communicator.send_to(text_data=text)
    answer = await socket.next()
    assert set(answer) == {"type", "code", "detail", "ref"}
    assert (answer["type"], answer["code"], answer["ref"]) == ("error", code, ref)
    assert await socket.received_so_far() == []


async def test_the_tenth_invalid_frame_closes_with_4501(server, ada):
    socket = await server.connect(ada)
    for _ in range(9):
        await socket.communicator.send_to(text_data="{")
        assert (await socket.next())["code"] == "bad_json"
        await socket.send_command(type="ping", ref="good ones between make no difference")
        await socket.next()
    await socket.communicator.send_to(text_data="{")
    assert await socket.close_code() == 4501


async def test_a_binary_frame_closes_with_4501(server, ada):
    socket = await server.connect(ada)
    await socket.communicator.send_to(bytes_data=b'{"type": "ping", "ref": "r"}')
    assert await socket.close_code() == 4501


def padded(size):
    command = {"type": "ping", "ref": "r"}
    text = json.dumps(command)
    return text + " " * (size - len(text))


async def test_a_frame_of_4_kib_is_the_largest(server, ada):
    socket = await server.connect(ada)
    await socket.communicator.send_to(text_data=padded(4096))
    assert (await socket.next())["type"] == "pong"
    await socket.communicator.send_to(text_data=padded(4097))
    # Daphne, the server without this extension, can't send 1009.
    assert await socket.close_code() == 4501


async def test_a_server_that_can_closes_a_frame_over_4_kib_with_1009(server, ada):
    socket = server.socket("", handshake(await server.session(ada)))
    socket.communicator.scope["extensions"] = {"websocket.http.response": {}}
    await socket.open()
    await socket.until("synced")
    await socket.communicator.send_to(text_data='"' + "é" * 2100 + '"')
    assert await socket.close_code() == 1009


async def test_the_61st_frame_at_once_closes_with_4002(server, ada, monkeypatch):
    assert (consumers.FRAMES_PER_BURST, consumers.FRAMES_PER_SECOND) == (60, 5)
    monkeypatch.setattr(consumers, "FRAMES_PER_SECOND", 0.0)
    socket = await server.connect(ada)
    for number in range(60):
        await socket.send_command(type="ping", ref=str(number))
        assert (await socket.next())["ref"] == str(number)
    await socket.send_command(type="ping", ref="60")
    assert await socket.close_code() == 4002


async def test_frames_may_go_on_at_the_rate(server, ada, monkeypatch):
    monkeypatch.setattr(consumers, "FRAMES_PER_SECOND", 1e9)
    socket = await server.connect(ada)
    for number in range(200):
        await socket.send_command(type="ping", ref=str(number))
        await socket.next()


async def test_after_a_close_of_the_server_commands_are_not_obeyed(server, ada):
    socket = await server.connect(ada)
    await socket.communicator.send_to(bytes_data=b"x")
    await socket.send_command(type="ping", ref="too late")
    assert await socket.close_code() == 4501
    await socket.disconnect()
    assert socket.communicator.output_queue.empty()


# --- Resume --------------------------------------------------------------------------------------------------


async def test_resume_brings_what_a_client_says_it_misses(server, ada):
    ids = await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")
    socket = await server.connect(ada)
    await socket.send_command(type="resume", since=1)
    inbox, synced = await socket.until("synced")
    assert [row["id"] for row in inbox["added"]] == ids[1:]
    assert (inbox["replayed"], synced["revision"]) == (True, 3)
    await in_thread(notify_titles, ada, "Live again")
    assert (await socket.next())["revision"] == 4


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"since": 0, "epoch": "other"}, "new_epoch"),
        ({"since": 99}, "unknown_revision"),
        ({"since": -1}, "unknown_revision"),
        ({"since": None}, "unknown_revision"),
        ({"since": "1"}, "unknown_revision"),
        ({"since": 1.5}, "unknown_revision"),
        ({"since": True}, "unknown_revision"),
        ({"since": [1]}, "unknown_revision"),
        ({"since": 2**63}, "unknown_revision"),
    ],
)
async def test_a_resume_that_cannot_be_served_is_reset(server, ada, command, reason):
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    socket = await server.connect(ada)
    await socket.send_command(type="resume", **command)
    assert await socket.next() == {"type": "reset", "revision": 2, "unread_count": 2, "reason": reason}
    await in_thread(notify_titles, ada, "Live again")
    assert (await socket.next())["revision"] == 3


async def test_a_second_resume_during_the_first_is_not_allowed(server, ada):
    socket = await server.connect(ada)
    for _ in range(2):
        # Both are in the queue before the server looks.
        socket.communicator.input_queue.put_nowait(
            {"type": "websocket.receive", "text": json.dumps({"type": "resume", "since": 0})}
        )
    error = (await socket.until("error"))[-1]
    assert error["code"] == "not_allowed"
    if not socket.communicator.output_queue.empty() or not server.client_socket(ada).is_live:
        await socket.until("synced")


async def test_the_seventh_resume_in_a_minute_is_not_allowed(server, ada):
    socket = await server.connect(ada)
    for _ in range(6):
        await socket.send_command(type="resume", since=0)
        await socket.until("synced")
        await eventually(lambda: server.client_socket(ada).is_live)
    await socket.send_command(type="resume", since=0, ref="seventh")
    error = await socket.next()
    assert (error["type"], error["code"], error["ref"]) == ("error", "not_allowed", "seventh")
    assert await socket.received_so_far() == []


async def test_a_minute_later_resume_is_allowed_again(server, ada, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(consumers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    socket = await server.connect(ada)
    for _ in range(7):
        await socket.send_command(type="resume", since=0)
        await socket.until("synced")
        now[0] += 10.1


# --- Leaving -------------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_is_taken_out(server, ada):
    socket = await server.connect(ada)
    assert len(presence_writer._open) == 1
    await socket.disconnect()
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}


async def test_a_socket_that_is_cancelled_is_taken_out(server, ada):
    socket = await server.connect(ada)
    socket.communicator.future.cancel()
    await asyncio.wait([socket.communicator.future])
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}
    # Nobody listens to it any more.
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "Queue.get" in repr(task.get_coro())]


async def test_a_client_that_vanishes_while_something_is_sent_is_taken_out(server, ada):
    socket = await server.connect(ada)

    async def gone(message):
        raise OSError("gone")

    server.client_socket(ada)._send = gone
    await in_thread(notify_titles, ada, "Hello")
    await eventually(lambda: server.client_socket(ada).is_closing)
    await socket.disconnect(code=1006)
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}


async def test_a_client_that_answers_no_close_is_let_go(server, ada, monkeypatch):
    monkeypatch.setattr(consumers, "CLOSE_SECONDS", 0.05)
    socket = await server.connect(ada)
    await socket.communicator.send_to(bytes_data=b"x")
    assert await socket.close_code() == 4501
    await socket.communicator.wait(timeout=10)
    assert not server.user_sockets(ada).sockets


async def test_every_frame_on_the_wire_is_one_of_the_protocols(server, ada):
    adapter = TypeAdapter(protocol.ServerFrame)
    socket = await server.connect(ada, since=0)
    await in_thread(notify_titles, ada, "Hello")
    await socket.communicator.send_to(text_data="{")
    seen: dict[str, Any] = {}
    while {"inbox", "error"} - seen.keys():
        frame = await socket.next()
        seen[frame["type"]] = frame
    for frame in seen.values():
        adapter.validate_python(frame)


async def test_a_socket_ends_with_4000_at_its_maximum_age(server, ada, settings):
    settings.REALTIME_MAX_AGE_SECONDS = 0.2
    socket = await server.open(ada)
    assert await socket.close_code() == 4000


def test_the_maximum_age_is_twelve_hours():
    assert conf.max_age_seconds == 12 * 3600


async def test_a_handshake_that_comes_while_draining_is_refused(server, ada, monkeypatch):
    monkeypatch.setattr(drain, "draining", True)
    socket = server.socket("", handshake(await server.session(ada)))
    accepted, _ = await socket.communicator.connect(timeout=TIMEOUT)
    assert not accepted


async def test_a_server_that_can_answers_503_while_draining(server, ada, monkeypatch):
    monkeypatch.setattr(drain, "draining", True)
    socket = server.socket("", handshake(await server.session(ada)))
    socket.communicator.scope["extensions"] = {"websocket.http.response": {}}
    await socket.communicator.send_input({"type": "websocket.connect"})
    start, body = await socket.receive_event(), await socket.receive_event()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert body["body"] == b"draining"
