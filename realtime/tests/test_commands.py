"""The commands of a client: ping and resume, their limits, and bad frames."""

import json
from types import SimpleNamespace

import pytest

from realtime.db_threads import in_thread
from realtime.sockets import consumers
from realtime.tests.client import eventually, handshake, notify_titles, notify_titles_one_by_one

pytestmark = pytest.mark.django_db(transaction=True)


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
        await socket.send_command(type="ping", ref="valid ones between make no difference")
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


async def test_a_server_with_denial_responses_closes_a_frame_over_4_kib_with_1009(server, ada):
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


async def test_frames_may_continue_at_the_rate(server, ada, monkeypatch):
    monkeypatch.setattr(consumers, "FRAMES_PER_SECOND", 1e9)
    socket = await server.connect(ada)
    for number in range(200):
        await socket.send_command(type="ping", ref=str(number))
        await socket.next()


async def test_after_a_close_by_the_server_commands_are_ignored(server, ada):
    socket = await server.connect(ada)
    await socket.communicator.send_to(bytes_data=b"x")
    await socket.send_command(type="ping", ref="too late")
    assert await socket.close_code() == 4501
    await socket.disconnect()
    assert socket.communicator.output_queue.empty()


async def test_resume_replays_what_a_client_missed(server, ada):
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
