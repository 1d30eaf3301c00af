"""Clients that stop reading cost the server little, and the others nothing."""

import asyncio
import select
import socket
import time

import pytest

from .client import Person
from .conftest import Deployment
from .tab import Tab

MEGABYTE = 1024 * 1024
# Of about 3 kB: 14 MB for each of those who don't read.
ROUNDS, ROWS, SLOW = 5, 900, 8
# The most that a row holds, at four bytes a character; a round at a time, so that no round is too far behind.
POUR = """
from messaging import notifications
for round in range(%d):
    rows = [notifications.build(%d, "announcement", f"{round}." + "\\U0001f514" * 190, "\\U0001f514" * 500)
        for _ in range(%d)]
    notifications.create(rows)
    print("made", flush=True)
    input()
"""
SERVERS = pytest.mark.parametrize("kind", ["serve", "daphne"])


@SERVERS
async def test_clients_that_stop_reading_cost_little_and_delay_no_other(
    deployment: Deployment, kind: str
) -> None:
    # Nothing here tests how long a slow one is waited for, or the limit on calls: thousands of rows are read again.
    server = await deployment.start(kind, REALTIME_SLOW_SECONDS="600", API_RATE_LIMIT="False")
    ada, grace, linus = deployment.people(server, 3)
    quick, others = await grace.tab(), await linus.tab()
    slow = [await grace.tab() for _ in range(SLOW)]
    # The memory of first messages, threads and connections doesn't count here.
    for _ in range(20):
        await ada.write_to(linus)
    await others.until_shows(messages=20)
    for tab in slow:
        tab.pause_reading()
    before = server.rss()

    shell = deployment.shell(POUR % (ROUNDS, grace.id, ROWS))
    most, slowest = before, 0.0
    for number in range(1, ROUNDS + 1):
        assert await asyncio.to_thread(shell.read_line) == "made"
        began = time.monotonic()
        await ada.write_to(linus)
        await others.until_shows(messages=20 + number)
        slowest = max(slowest, time.monotonic() - began)
        await quick.until_shows(unread=number * ROWS, seconds=30)
        most = max(most, server.rss())
        await asyncio.to_thread(shell.send_line)
    await asyncio.to_thread(shell.end)
    print(
        f"{kind}: {before / MEGABYTE:.0f} MB, at most {most / MEGABYTE:.0f} MB; slowest other {slowest:.2f} s"
    )
    assert most - before < 60 * MEGABYTE
    assert quick.inbox.resets == 0
    assert set(quick.inbox.times_added.values()) == {1}
    # What was in their buffers when they stopped, and no more.
    assert max(tab.inbox.revision for tab in slow) <= 2

    slow[0].resume_reading()
    await slow[0].until_shows(unread=ROUNDS * ROWS, seconds=40)
    assert (await slow[0].until_consistent()).unread_count == ROUNDS * ROWS
    await quick.until_consistent()


async def deaf(person: Person) -> Tab:
    """A page that stops reading, with small receive buffers."""
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.to_thread(bare.connect, ("127.0.0.1", int(person.base_url.rpartition(":")[2])))
    tab = Tab(person)
    person.tabs.append(tab)
    await tab.open(sock=bare)
    tab.pause_reading()
    tab.transport.pause_reading()
    return tab


async def connections_are(deployment: Deployment, count: int) -> None:
    deadline = time.monotonic() + 120
    while (
        len(await asyncio.to_thread(deployment.database.read, "SELECT 1 FROM realtime_connection")) != count
    ):
        assert time.monotonic() < deadline, f"there never were {count} connections"
        await asyncio.sleep(0.1)


async def read_on_when_closed(deployment: Deployment, tab: Tab) -> int | None:
    """Wait until one connection is left, which isn't this one. Returns the close code."""
    await connections_are(deployment, 1)
    tab.transport.resume_reading()
    tab.resume_reading()
    return await tab.until_closed(60)


@SERVERS
async def test_a_client_that_takes_nothing_is_closed_with_4001_and_its_transport_ended(
    deployment: Deployment, kind: str
) -> None:
    # Long enough for the quick one, also on a machine that is busy with other things.
    settings = {"REALTIME_SLOW_SECONDS": "3", "REALTIME_HEARTBEAT_SECONDS": "1", "API_RATE_LIMIT": "False"}
    server = await deployment.start(kind, **settings)
    grace = deployment.person(server)
    quick, slow, gone = await grace.tab(), await deaf(grace), await deaf(grace)
    await connections_are(deployment, 3)
    # One reads on: behind what was on its way stands why it was closed. Daphne waits a second for that, at most.
    closing = asyncio.create_task(read_on_when_closed(deployment, slow))
    rounds = 4  # until there is no room in the kernel either
    shell = deployment.shell(POUR % (rounds, grace.id, ROWS))
    for number in range(1, rounds + 1):
        assert await asyncio.to_thread(shell.read_line) == "made"
        await quick.until_shows(unread=number * ROWS, seconds=30)
        await asyncio.to_thread(shell.send_line)
    await asyncio.to_thread(shell.end)
    assert await closing in ((4001,) if kind == "serve" else (4001, 1006))
    # The other one never reads. Its end of the connection learns that the server's is closed.
    poll = select.poll()
    poll.register(gone.transport.get_extra_info("socket").fileno(), 0)
    assert await asyncio.to_thread(poll.poll, 60_000)
    await gone.drop()

    await slow.reopen()
    await slow.until_shows(unread=rounds * ROWS, seconds=40)
    await slow.until_consistent()
