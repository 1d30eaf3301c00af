"""The handshake of a socket: who is accepted, and with which frames it begins."""

import asyncio
import threading
import uuid
from datetime import datetime

import pytest
from django.db import OperationalError

from messaging.models import Inbox, Message, UserProfile
from realtime import auth
from realtime.db_threads import in_thread
from realtime.delivery import drain, recovery
from realtime.delivery.hub import running_hub
from realtime.tests.client import TIMEOUT, eventually, handshake

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_new_socket_is_sent_hello_presence_state_synced_in_this_order(server, ada):
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


async def test_without_a_login_a_socket_is_accepted_and_closed_with_4500(server):
    socket = server.socket(headers=[(b"host", b"testserver"), (b"origin", b"http://testserver")])
    await socket.open()
    assert await socket.close_code() == 4500
    await socket.disconnect()


async def test_an_unknown_session_is_closed_with_4500(server, db):
    socket = server.socket(headers=handshake("nobody"))
    await socket.open()
    assert await socket.close_code() == 4500


async def test_an_unknown_path_is_refused_and_nothing_raises(server, ada):
    for path in ("/", "/ws/", "/ws/notifications", "/ws/notifications/more/"):
        socket = server.socket("", handshake(await server.session(ada)))
        socket.communicator.scope["path"] = path
        assert await socket.communicator.connect(timeout=10) == (False, 1000)
        await socket.disconnect()


async def test_the_contacts_who_are_online_are_the_second_frame(server, ada, grace, linus, margaret):
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


async def test_commands_before_hello_are_answered_after_it(server, ada, monkeypatch):
    """The catch-up is slow: a client that doesn't wait for hello is sent it first all the same."""
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


async def answered(server, user):
    """The status, headers and body of the HTTP response with which a server like `serve` refuses a handshake."""
    socket = server.socket("", handshake(await server.session(user)))
    socket.communicator.scope["extensions"] = {"websocket.http.response": {}}
    await socket.communicator.send_input({"type": "websocket.connect"})
    start, body = await socket.receive_event(), await socket.receive_event()
    assert start["type"] == "websocket.http.response.start"
    return start["status"], dict(start["headers"]), body["body"]


@pytest.fixture(params=["draining", "unavailable"])
def reason(request, monkeypatch):
    """Why a handshake can't be served for the moment."""

    def unavailable(*arguments):
        raise OperationalError("the database is away")

    if request.param == "draining":
        monkeypatch.setattr(drain, "draining", True)
    else:
        monkeypatch.setattr(auth, "authenticate", unavailable)
    return request.param


async def test_a_handshake_that_cannot_be_served_now_is_answered_with_503(server, ada, reason):
    status, headers, body = await answered(server, ada)
    assert (status, headers[b"retry-after"], body) == (503, b"1", reason.encode())


async def test_a_server_without_denial_responses_refuses_it(server, ada, reason):
    socket = server.socket("", handshake(await server.session(ada)))
    accepted, _ = await socket.communicator.connect(timeout=TIMEOUT)
    assert not accepted
