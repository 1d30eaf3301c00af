"""The transitions of a socket's state: every method from every state, so that no pair is left to chance."""

import pytest

from messaging import schemas
from realtime import protocol
from realtime.auth import Login
from realtime.delivery.client_socket import ClientSocket, SyncState

S = SyncState
LOGIN = Login(schemas.User(id=1, username="ada"), "session")
END = protocol.SyncedFrame(revision=7, unread_count=2)


@pytest.fixture
def queued():
    return []


@pytest.fixture
def sent():
    return []


@pytest.fixture
def socket_in(queued, sent):
    async def send(message):
        sent.append(message)

    def make(state):
        socket = ClientSocket(LOGIN, send, enqueue=queued.append)
        socket.state, socket.has_hello = state, True
        return socket

    return make


@pytest.mark.parametrize(
    ("state", "then", "is_queued"),
    [
        (S.BEHIND, S.BEHIND, True),
        (S.CATCHING_UP, S.CATCHING_UP_TWICE, False),
        (S.CATCHING_UP_TWICE, S.CATCHING_UP_TWICE, False),
        (S.OUTDATED, S.OUTDATED, False),
        (S.LIVE, S.BEHIND, True),
        (S.STALLED, S.STALLED, False),
        (S.CLOSED, S.CLOSED, False),
    ],
)
async def test_requesting_recovery(socket_in, queued, state, then, is_queued):
    socket = socket_in(state)
    socket.request_recovery()
    assert (socket.state, bool(queued)) == (then, is_queued)


@pytest.mark.parametrize("state", list(S))
async def test_a_catch_up_begins_only_for_a_socket_that_is_behind(socket_in, state):
    socket = socket_in(state)
    assert socket.begin_catch_up() == (state is S.BEHIND)
    assert socket.state is (S.CATCHING_UP if state is S.BEHIND else state)


@pytest.mark.parametrize("state", list(S))
async def test_only_a_catch_up_can_be_restarted(socket_in, queued, state):
    socket = socket_in(state)
    catching_up = socket.is_catching_up
    socket.restart_catch_up()
    assert socket.state is (S.BEHIND if catching_up else state)
    assert bool(queued) == catching_up


@pytest.mark.parametrize(
    ("state", "then", "is_queued"),
    [(S.CATCHING_UP, S.LIVE, False), (S.CATCHING_UP_TWICE, S.BEHIND, True)],
)
async def test_the_end_of_a_catch_up(socket_in, queued, sent, state, then, is_queued):
    socket = socket_in(state)
    socket.finish_catch_up(END)
    assert (socket.state, bool(queued), socket.cursor, socket.request) == (then, is_queued, 7, None)
    assert [message["text"] for message in sent] == [END.encode()]


@pytest.mark.parametrize("state", list(S))
async def test_a_closed_socket_stays_closed(socket_in, queued, sent, state):
    socket = socket_in(state)
    socket.abandon(4002)
    socket.request_recovery()
    socket.restart_catch_up()
    socket.send("{}")
    assert not socket.begin_catch_up()
    assert (socket.state, socket.close_code, queued, sent) == (S.CLOSED, 4002, [], [])
