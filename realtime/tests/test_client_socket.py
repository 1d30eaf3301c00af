import asyncio

import pytest

from messaging import schemas
from realtime import protocol
from realtime.auth import Login
from realtime.conf import conf
from realtime.delivery import backlog
from realtime.delivery.client_socket import ClientSocket, SyncState
from realtime.protocol import SyncedFrame

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
        # The sockets that asked for recovery.
        self.behind = []

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
async def socket(wire):
    socket = ClientSocket(LOGIN, wire.send, enqueue=wire.behind.append)
    socket.state, socket.has_hello = SyncState.LIVE, True
    return socket


def hand_over(socket, *revisions):
    for revision in revisions:
        socket.send(f"frame {revision}", SyncedFrame(revision=revision, unread_count=0))


def frames(*revisions):
    return [f"frame {revision}" for revision in revisions]


async def moves(socket, wire):
    """The socket takes data again."""
    wire.open.set()
    async with asyncio.timeout(5):
        await socket.drained()


async def test_a_socket_that_takes_data_is_sent_to_without_a_task(socket, wire):
    tasks = asyncio.all_tasks()
    hand_over(socket, 1, 2, 3)
    assert wire.taken == frames(1, 2, 3)
    assert asyncio.all_tasks() == tasks
    assert not socket.is_blocked
    assert socket.cursor == 3


async def test_a_step_of_the_inbox_moves_the_cursor_and_the_count(socket):
    socket.send("frame", SyncedFrame(revision=5, unread_count=3))
    socket.send("no step")
    assert (socket.cursor, socket.unread_count) == (5, 3)


async def test_a_send_that_blocks_is_finished_and_the_backlog_follows_in_order(socket, wire):
    wire.open.clear()
    hand_over(socket, *range(1, 101))
    assert socket.is_blocked
    assert (wire.taken, wire.waiting) == ([], 1)
    assert socket.cursor == 100
    await moves(socket, wire)
    assert wire.taken == frames(*range(1, 101))
    hand_over(socket, 101)
    assert wire.taken[-1] == "frame 101"


async def test_a_send_that_blocks_again_and_again_keeps_the_order(socket, wire):
    sent = 0
    for _ in range(20):
        wire.open.clear()
        hand_over(socket, sent + 1, sent + 2, sent + 3)
        sent += 3
        await moves(socket, wire)
    assert wire.taken == frames(*range(1, sent + 1))


async def test_frames_handed_over_while_the_backlog_is_sent_come_after_it(socket, wire):
    wire.open.clear()
    hand_over(socket, 1, 2)
    wire.open.set()
    hand_over(socket, 3)
    await moves(socket, wire)
    assert wire.taken == frames(1, 2, 3)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_BACKLOG_FRAMES", 10), ("MAX_BACKLOG_BYTES", len("frame 1") * 10)]
)
async def test_a_full_backlog_is_dropped_and_the_socket_is_behind_once_it_moves(
    socket, wire, monkeypatch, limit, value
):
    monkeypatch.setattr(backlog, limit, value)
    hand_over(socket, 1)
    wire.open.clear()
    hand_over(socket, *range(2, 31))
    assert not socket.is_live
    # Frame 2 is on its way; from 3 on everything has to be read again.
    assert socket.cursor == 2
    assert wire.behind == []
    await moves(socket, wire)
    assert wire.taken == frames(1, 2)
    assert wire.behind == [socket]
    hand_over(socket, 3)
    assert wire.taken == frames(1, 2, 3)


async def test_an_overflow_drops_no_frame_that_cannot_be_read_again(socket, wire, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 10)
    wire.open.clear()
    hand_over(socket, 1, 2)
    socket.send_after_hello("grace came")
    hand_over(socket, *range(3, 30))
    socket.send_after_hello("grace went")
    await moves(socket, wire)
    assert wire.taken == ["frame 1", "grace came", "grace went"]
    assert not socket.is_closing


async def test_a_backlog_full_of_what_cannot_be_read_again_ends_the_socket(socket, wire, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 10)
    wire.open.clear()
    for number in range(20):
        socket.send_after_hello(f"presence {number}")
    assert socket.close_code == protocol.CloseCode.SLOW_CONSUMER
    await socket.closed


async def test_a_second_overflow_is_one_more_turn_behind(socket, wire, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 10)
    for _ in range(2):
        wire.open.clear()
        hand_over(socket, *range(1, 30))
        await moves(socket, wire)
    assert wire.behind == [socket] * 2
    assert socket.cursor == 1


async def test_a_socket_that_takes_nothing_for_too_long_is_closed_with_4001(socket, wire, settings):
    assert conf.slow_seconds == 30
    settings.REALTIME_SLOW_SECONDS = 0.05
    wire.open.clear()
    hand_over(socket, 1, 2)
    await socket.drained()
    assert socket.close_code == protocol.CloseCode.SLOW_CONSUMER
    wire.open.set()
    await socket.closed
    assert wire.taken == [4001]
    assert wire.waiting == 0


async def test_a_socket_that_takes_not_even_the_close_is_given_up(socket, wire, settings):
    settings.REALTIME_SLOW_SECONDS = 0.05
    wire.open.clear()
    hand_over(socket, 1)
    await socket.closed
    assert wire.taken == []
    assert wire.waiting == 0


async def test_a_socket_that_takes_one_frame_now_and_then_is_not_slow(socket, monkeypatch):
    taken, loop, passed = [], asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed)

    async def send(message):
        nonlocal passed
        # Each takes two thirds of the time, and all together six times as much.
        passed += conf.slow_seconds * 2 / 3
        await asyncio.sleep(0.01)
        taken.append(message["text"])

    socket._send = send
    hand_over(socket, *range(1, 10))
    await socket.drained()
    assert taken == frames(*range(1, 10))
    assert not socket.is_closing


async def test_a_client_that_is_gone_is_handed_nothing_more(socket, wire):
    wire.error = OSError("gone")
    hand_over(socket, 1)
    wire.error = None
    hand_over(socket, 2)
    assert socket.is_closing
    assert wire.taken == []


async def test_a_client_that_goes_while_a_send_waits_is_handed_nothing_more(socket, wire):
    wire.open.clear()
    hand_over(socket, 1, 2)
    wire.error = RuntimeError("websocket.send after websocket.close")
    await moves(socket, wire)
    wire.error = None
    hand_over(socket, 3)
    assert socket.is_closing
    assert (wire.taken, wire.behind) == ([], [])


async def test_a_close_comes_after_what_was_handed_over_and_before_nothing(socket, wire):
    wire.open.clear()
    hand_over(socket, 1)
    socket.close(4503, "signed out")
    hand_over(socket, 2)
    wire.open.set()
    await socket.closed
    assert wire.taken == ["frame 1", 4503]


async def test_the_first_reason_to_close_counts(socket, wire):
    socket.close(4002)
    socket.close(4503)
    await socket.closed
    assert wire.taken == [4002]


async def test_presence_that_is_known_before_the_hello_waits_for_it(wire):
    socket = ClientSocket(LOGIN, wire.send, enqueue=wire.behind.append)
    socket.send_after_hello("grace came")
    assert wire.taken == []
    hello = protocol.HelloFrame(
        connection_id=socket.id,
        user=LOGIN.user,
        epoch="e",
        revision=0,
        unread_count=0,
        resumed=False,
        heartbeat_seconds=25,
        server_time=protocol.now(),
    )
    socket.send_hello(hello, [])
    assert [text[:14] for text in wire.taken] == ['{"type":"hello', '{"type":"prese', "grace came"]
