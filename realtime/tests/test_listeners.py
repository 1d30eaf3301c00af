"""An iteration of `serve`'s loop accepts several connections: a busy process is reached all the same."""

import asyncio
import socket

import pytest
import uvloop

from realtime.server.server import LISTENERS, more_listeners
from realtime.tests.client import TIMEOUT

BACKLOG = 200
CONNECTIONS = 10 * LISTENERS


async def iterations(*, with_more: bool) -> int:
    """How many iterations of the loop it takes to accept CONNECTIONS that wait."""
    loop = asyncio.get_running_loop()
    count, accepted, all_accepted = 0, 0, asyncio.Event()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal accepted
            accepted += 1
            transport.close()
            if accepted == CONNECTIONS:
                all_accepted.set()

    def iterate() -> None:
        nonlocal count
        count += 1
        if not all_accepted.is_set():
            loop.call_soon(iterate)

    listeners = [await loop.create_server(Accepted, "127.0.0.1", 0, backlog=BACKLOG)]
    if with_more:
        listeners += await more_listeners(listeners, Accepted, BACKLOG)
    address = listeners[0].sockets[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    loop.call_soon(iterate)
    await asyncio.wait_for(all_accepted.wait(), TIMEOUT)
    for client in clients:
        client.close()
    for listener in listeners:
        listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    return count


def test_an_iteration_accepts_one_connection_of_each_listener():
    assert uvloop.run(iterations(with_more=True)) <= CONNECTIONS / LISTENERS + 10
    # The control: with one listener each takes an iteration.
    assert uvloop.run(iterations(with_more=False)) >= CONNECTIONS
