import gc
import json
import weakref

import pytest

from messaging import audience, schemas
from realtime.auth import Login
from realtime.delivery.client_socket import ClientSocket
from realtime.delivery.socket_presence import SocketPresence, encoded

ADA, GRACE = schemas.User(id=1, username="ada"), schemas.User(id=2, username="grace")


def grace(version, *, is_online):
    return schemas.Presence(user=GRACE, is_online=is_online, last_seen=None, version=version)


def seen(frames):
    """What a client shows of grace: the latest version counts."""
    state, *changes = map(json.loads, frames)
    known = {contact["user"]["id"]: contact for contact in state["online"]}
    for change in changes:
        if change["version"] >= known.get(GRACE.id, change)["version"]:
            known[GRACE.id] = change
    return known.get(GRACE.id, {"is_online": False})["is_online"]


def show(socket, presence):
    return socket.show(presence, encoded(presence), is_limited=False)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_what_is_held_back_the_latest_version_counts_in_whatever_order_it_was_read(order):
    """A deletion is announced without a read, which may end after it with an earlier state."""
    socket = SocketPresence()
    for version in order:
        assert show(socket, grace(version, is_online=version == 1)) is None
    assert not seen(socket.begin([]))


def test_what_is_read_later_than_what_is_held_back_counts():
    socket = SocketPresence()
    show(socket, grace(1, is_online=False))
    assert seen(socket.begin([grace(2, is_online=True)]))


def test_what_is_shown_online_can_be_taken_back_though_an_older_change_was_held_back(monkeypatch):
    monkeypatch.setattr(audience, "is_limited", lambda: True)
    socket = SocketPresence()
    show(socket, grace(1, is_online=False))
    assert seen(socket.begin([grace(2, is_online=True)]))
    assert socket.deny(grace(2, is_online=True)) is not None


def test_after_the_hello_nothing_is_held_back():
    socket = SocketPresence()
    socket.begin([])
    change = grace(1, is_online=True)
    assert show(socket, change) == encoded(change)


async def test_a_socket_that_ends_is_freed_without_the_collector():
    async def send(message):
        pass

    socket = ClientSocket(Login(ADA, "session"), send, enqueue=lambda socket: None)
    freed = weakref.ref(socket)
    gc.disable()
    try:
        del socket
        assert freed() is None
    finally:
        gc.enable()
