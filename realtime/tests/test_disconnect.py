"""The end of a socket, whatever causes it: it is removed from the hub and from presence."""

import asyncio

import pytest

from realtime.conf import conf
from realtime.db_threads import in_thread
from realtime.presence.writer import presence_writer
from realtime.sockets import consumers
from realtime.tests.client import eventually, notify_titles

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_socket_that_its_client_closes_is_removed(server, ada):
    socket = await server.connect(ada)
    assert len(presence_writer._open) == 1
    await socket.disconnect()
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}


async def test_a_socket_whose_task_is_cancelled_is_removed(server, ada):
    socket = await server.connect(ada)
    socket.communicator.future.cancel()
    await asyncio.wait([socket.communicator.future])
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}
    # No task receives from it any more.
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "Queue.get" in repr(task.get_coro())]


async def test_a_connection_lost_during_a_send_is_removed(server, ada):
    socket = await server.connect(ada)

    async def gone(message):
        raise OSError("gone")

    server.client_socket(ada)._send = gone
    await in_thread(notify_titles, ada, "Hello")
    await eventually(lambda: server.client_socket(ada).is_closing)
    await socket.disconnect(code=1006)
    assert not server.user_sockets(ada).sockets
    assert presence_writer._open == {}


async def test_a_client_that_never_answers_a_close_is_not_waited_for(server, ada, monkeypatch):
    monkeypatch.setattr(consumers, "CLOSE_SECONDS", 0.05)
    socket = await server.connect(ada)
    await socket.communicator.send_to(bytes_data=b"x")
    assert await socket.close_code() == 4501
    await socket.communicator.wait(timeout=10)
    assert not server.user_sockets(ada).sockets


async def test_a_socket_ends_with_4000_at_its_maximum_age(server, ada, settings):
    settings.REALTIME_MAX_AGE_SECONDS = 0.2
    socket = await server.open(ada)
    assert await socket.close_code() == 4000


def test_the_maximum_age_is_twelve_hours():
    assert conf.max_age_seconds == 12 * 3600
