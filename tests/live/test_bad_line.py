"""A slow but honest client, 2 KB/s with a round trip of three seconds, is served like any other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from .client import Person
from .conftest import Deployment

BYTES_PER_SECOND, DELAY_SECONDS, STEP_SECONDS = 2000, 1.5, 0.1


class BadLine:
    """Passes connections on to a server, so slowly and so late."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [self._pass(reader, to_writer), self._pass(to_reader, writer)]
        self._tasks |= {asyncio.create_task(way) for way in ways}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(100)

        async def arrive() -> None:
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        arriving = asyncio.create_task(arrive())
        try:
            with contextlib.suppress(OSError):
                while True:
                    data = await reader.read(int(BYTES_PER_SECOND * STEP_SECONDS))
                    await on_the_way.put((loop.time() + DELAY_SECONDS, data))
                    if not data:
                        await arriving
                        return
                    await asyncio.sleep(STEP_SECONDS)
        finally:
            arriving.cancel()
            writer.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def ada(shared: Deployment) -> AsyncIterator[Person]:
    """Her line is bad."""
    line = BadLine(shared.servers[0].port)
    listening = await asyncio.start_server(line.serve, "127.0.0.1", 0, limit=1024)
    account = shared.person(shared.servers[0])
    port = listening.sockets[0].getsockname()[1]
    made = Person(
        f"http://127.0.0.1:{port}", id=account.id, username=account.username, session=account.session
    )
    yield made
    await made.close()
    listening.close()
    await line.close()


async def test_a_client_on_a_bad_line_is_served(shared: Deployment, ada: Person) -> None:
    grace = shared.person(shared.servers[0])
    ids = [await grace.write_to(ada, "x" * 300) for _ in range(20)]
    # It reads its list, 10 KB, and connects from there.
    tab = await asyncio.wait_for(ada.tab(), 90)
    assert len(tab.messages) == len(ids)
    await grace.write_to(ada, "Are you there?")
    await tab.until_shows(messages=len(ids) + 1, seconds=60)
    # A body of some kilobytes, and an answer of some more.
    body = {"ids": [item["id"] for item in tab.inbox.items.values()] * 45}
    marked = await ada.call("POST", "notifications/read", json=body)
    assert len(marked["ids"]) == len(ids) + 1
    await tab.until(lambda tab: tab.inbox.unread_count == 0, what="nothing unread", seconds=60)
    assert tab.is_open
