import asyncio

import pytest

from messaging import schemas
from realtime import protocol
from realtime.auth import Login
from realtime.conf import conf
from realtime.delivery import client_socket as connection_module
from realtime.delivery.client_socket import Connection

LOGIN = Login(schemas.User(id=1, username="ada"), "session")


class Wire:
    """The server's side of a socket, which takes data while it is open."""

    def __init__(self):
        self.taken = []
        self.open = asyncio.Event()
        self.open.set()
        # How many sends are under way.
        self.waiting = 0
        self.error = None

    async def send(self, message):
        self.waiting += 1
        try:
            while not self.open.is_set():
                await self.open.wait()
        finally:
            self.waiting -= 1
        if self.error is not None:
            raise self.error
        self.taken.append(message.get("text") or message["code"])


@pytest.fixture
async def wire():
    return Wire()


@pytest.fixture
async def connection(wire):
    connection = Connection(LOGIN, wire.send, None, None)
    connection.live = connection.greeted = True
    return connection


def hand_over(connection, *revisions):
    for revision in revisions:
        connection.send(f"frame {revision}", (revision, 0))


def frames(*revisions):
    return [f"frame {revision}" for revision in revisions]


async def moves(connection, wire):
    """The socket takes data again."""
    wire.open.set()
    async with asyncio.timeout(5):
        await connection.drained()


async def test_a_socket_that_takes_data_is_sent_to_without_a_task(connection, wire):
    tasks = asyncio.all_tasks()
    hand_over(connection, 1, 2, 3)
    assert wire.taken == frames(1, 2, 3)
    assert asyncio.all_tasks() == tasks
    assert not connection.blocked
    assert connection.cursor == 3


async def test_a_step_of_the_inbox_moves_the_cursor_and_the_count(connection):
    connection.send("frame", (5, 3))
    connection.send("no step")
    assert (connection.cursor, connection.unread_count) == (5, 3)


async def test_a_send_that_blocks_is_finished_and_the_backlog_follows_in_order(connection, wire):
    wire.open.clear()
    hand_over(connection, *range(1, 101))
    assert connection.blocked
    assert (wire.taken, wire.waiting) == ([], 1)
    assert connection.cursor == 100
    await moves(connection, wire)
    assert wire.taken == frames(*range(1, 101))
    hand_over(connection, 101)
    assert wire.taken[-1] == "frame 101"


async def test_a_send_that_blocks_again_and_again_keeps_the_order(connection, wire):
    sent = 0
    for _ in range(20):
        wire.open.clear()
        hand_over(connection, sent + 1, sent + 2, sent + 3)
        sent += 3
        await moves(connection, wire)
    assert wire.taken == frames(*range(1, sent + 1))


async def test_frames_handed_over_while_the_backlog_is_sent_come_after_it(connection, wire):
    wire.open.clear()
    hand_over(connection, 1, 2)
    wire.open.set()
    hand_over(connection, 3)
    await moves(connection, wire)
    assert wire.taken == frames(1, 2, 3)


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_BACKLOG_FRAMES", 10), ("MOST_BACKLOG_BYTES", len("frame 1") * 10)]
)
async def test_a_full_backlog_is_dropped_and_the_socket_is_behind_once_it_moves(
    connection, wire, monkeypatch, limit, value
):
    monkeypatch.setattr(connection_module, limit, value)
    behind: list[Connection] = []
    connection.when_moving = behind.append
    hand_over(connection, 1)
    wire.open.clear()
    hand_over(connection, *range(2, 31))
    assert not connection.live
    # Frame 2 is on its way; from 3 on everything has to be read again.
    assert connection.cursor == 2
    assert behind == []
    await moves(connection, wire)
    assert wire.taken == frames(1, 2)
    assert behind == [connection]
    hand_over(connection, 3)
    assert wire.taken == frames(1, 2, 3)


async def test_an_overflow_drops_no_frame_that_cannot_be_read_again(connection, wire, monkeypatch):
    monkeypatch.setattr(connection_module, "MOST_BACKLOG_FRAMES", 10)
    wire.open.clear()
    hand_over(connection, 1, 2)
    connection.send_when_greeted("grace came")
    hand_over(connection, *range(3, 30))
    connection.send_when_greeted("grace went")
    await moves(connection, wire)
    assert wire.taken == ["frame 1", "grace came", "grace went"]
    assert not connection.closing


async def test_a_backlog_full_of_what_cannot_be_read_again_ends_the_socket(connection, wire, monkeypatch):
    monkeypatch.setattr(connection_module, "MOST_BACKLOG_FRAMES", 10)
    wire.open.clear()
    for number in range(20):
        connection.send_when_greeted(f"presence {number}")
    assert connection.close_code == protocol.CloseCode.SLOW_CONSUMER
    await connection.closed.wait()


async def test_a_second_overflow_is_one_more_turn_behind(connection, wire, monkeypatch):
    monkeypatch.setattr(connection_module, "MOST_BACKLOG_FRAMES", 10)
    behind: list[Connection] = []
    connection.when_moving = behind.append
    for _ in range(2):
        wire.open.clear()
        hand_over(connection, *range(1, 30))
        await moves(connection, wire)
    assert behind == [connection] * 2
    assert connection.cursor == 1


async def test_a_socket_that_takes_nothing_for_too_long_is_closed_with_4001(connection, wire, settings):
    assert conf.slow_seconds == 30
    settings.REALTIME_SLOW_SECONDS = 0.05
    wire.open.clear()
    hand_over(connection, 1, 2)
    await connection.drained()
    assert connection.close_code == protocol.CloseCode.SLOW_CONSUMER
    wire.open.set()
    await connection.closed.wait()
    assert wire.taken == [4001]
    assert wire.waiting == 0


async def test_a_socket_that_takes_not_even_the_close_is_given_up(connection, wire, settings):
    settings.REALTIME_SLOW_SECONDS = 0.05
    wire.open.clear()
    hand_over(connection, 1)
    await connection.closed.wait()
    assert wire.taken == []
    assert wire.waiting == 0


async def test_a_socket_that_takes_one_frame_now_and_then_is_not_slow(connection, monkeypatch):
    taken, loop, passed = [], asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed)

    async def send(message):
        nonlocal passed
        # Each takes two thirds of the time, and all together six times as much.
        passed += conf.slow_seconds * 2 / 3
        await asyncio.sleep(0.01)
        taken.append(message["text"])

    connection._send = send
    hand_over(connection, *range(1, 10))
    await connection.drained()
    assert taken == frames(*range(1, 10))
    assert not connection.closing


async def test_a_client_that_is_gone_is_handed_nothing_more(connection, wire):
    wire.error = OSError("gone")
    hand_over(connection, 1)
    wire.error = None
    hand_over(connection, 2)
    assert connection.closing
    assert wire.taken == []


async def test_a_client_that_goes_while_a_send_waits_is_handed_nothing_more(connection, wire):
    behind: list[Connection] = []
    connection.when_moving = behind.append
    wire.open.clear()
    hand_over(connection, 1, 2)
    wire.error = RuntimeError("websocket.send after websocket.close")
    await moves(connection, wire)
    wire.error = None
    hand_over(connection, 3)
    assert connection.closing
    assert (wire.taken, behind) == ([], [])


async def test_a_close_comes_after_what_was_handed_over_and_before_nothing(connection, wire):
    wire.open.clear()
    hand_over(connection, 1)
    connection.close(4503, "signed out")
    hand_over(connection, 2)
    wire.open.set()
    await connection.closed.wait()
    assert wire.taken == ["frame 1", 4503]


async def test_the_first_reason_to_close_counts(connection, wire):
    connection.close(4002)
    connection.close(4503)
    await connection.closed.wait()
    assert wire.taken == [4002]


async def test_presence_that_is_known_before_the_greeting_waits_for_it(wire):
    connection = Connection(LOGIN, wire.send, None, None)
    connection.send_when_greeted("grace came")
    assert wire.taken == []
    hello = protocol.HelloFrame(
        connection_id=connection.id,
        user=LOGIN.user,
        epoch="e",
        revision=0,
        unread_count=0,
        resumed=False,
        heartbeat_seconds=25,
        server_time=protocol.now(),
    )
    connection.greet(hello, [])
    assert [text[:14] for text in wire.taken] == ['{"type":"hello', '{"type":"prese', "grace came"]
