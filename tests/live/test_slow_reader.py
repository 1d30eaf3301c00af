"""A client that stops reading costs the server little, and the others nothing."""

import asyncio
import time

from .conftest import World

MEGABYTE = 1024 * 1024
ROUNDS, ROWS = 8, 900  # of about 3 kB: 22 MB


async def test_a_client_that_stops_reading_costs_little_and_delays_nobody(world: World) -> None:
    server = await world.start()
    ada, grace, linus = world.people(server, 3)
    slow, quick, others = await grace.tab(), await grace.tab(), await linus.tab()
    # What every first message, thread and connection costs is no matter here.
    for _ in range(20):
        await ada.write_to(linus)
    await others.shows(messages=20)
    slow.pause()
    before = server.rss()

    # The most that a row holds, at four bytes a character; a round at a time, so that no round is too far behind.
    code = f"""
from messaging import notifications
for round in range({ROUNDS}):
    rows = [notifications.build({grace.id}, "announcement", f"{{round}}." + "\\U0001F514" * 190, "\\U0001F514" * 500)
        for _ in range({ROWS})]
    notifications.create(rows)
    print("made", flush=True)
    input()
"""
    shell = world.shell(code)
    most, slowest = before, 0.0
    for number in range(1, ROUNDS + 1):
        assert await asyncio.to_thread(shell.line) == "made"
        began = time.monotonic()
        await ada.write_to(linus)
        await others.shows(messages=20 + number, seconds=5)
        slowest = max(slowest, time.monotonic() - began)
        await quick.shows(unread=number * ROWS, seconds=30)
        most = max(most, server.rss())
        if number < ROUNDS:
            await asyncio.to_thread(shell.tell)
    await asyncio.to_thread(shell.tell)
    await asyncio.to_thread(shell.end)
    print(
        f"server: {before / MEGABYTE:.0f} MB, at most {most / MEGABYTE:.0f} MB; slowest other {slowest:.2f} s"
    )
    assert most - before < 60 * MEGABYTE
    assert quick.resets == 0
    assert set(quick.told.values()) == {1}
    # What was in its hands when it stopped, and no more.
    assert slow.inbox.revision <= 2

    slow.go_on()
    await slow.shows(unread=ROUNDS * ROWS, seconds=40)
    assert (await slow.agree()).unread_count == ROUNDS * ROWS
    await quick.agree()
