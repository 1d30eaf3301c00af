"""Redis and PostgreSQL go away and come back under a server with sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tools.services import PostgresServer, RedisServer

from .client import Person
from .conftest import World, Worlds
from .servers import Database


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis_world(worlds: Worlds, redis: RedisServer) -> AsyncIterator[World]:
    made = worlds.make(REDIS_URL=redis.url)
    try:
        yield made
        await made.leave()
    finally:
        made.close()


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def postgresql_world(
    worlds: Worlds, postgresql: PostgresServer, tmp_path: Path
) -> AsyncIterator[World]:
    database = await asyncio.to_thread(Database.template, tmp_path, postgresql.url, worlds.environment)
    made = World(database, tmp_path, {**worlds.environment, "REALTIME_PREFIX": f"own{time.time_ns()}"})
    # Django's: an answer of 503 is logged as an error.
    made.excused = ("django.request: Service Unavailable: /readyz",)
    try:
        yield made
        await made.leave()
    finally:
        made.close()


async def test_no_socket_closes_and_nothing_is_missing_when_redis_is_killed_and_restarted(
    redis_world: World, redis: RedisServer
) -> None:
    world = redis_world
    # Sweeps come every 15 s, but more often while Redis is away, and once when it is back.
    here, there = await world.start_two()
    ada, grace = world.people(here, 2)
    tabs = [await grace.tab(), await world.elsewhere(grace, there).tab(), await grace.tab()]
    total, slowest = 0, 0.0

    async def write(count: int) -> None:
        nonlocal total, slowest
        for _ in range(count):
            began = time.monotonic()
            await ada.write_to(grace, f"Number {total}")
            slowest = max(slowest, time.monotonic() - began)
            total += 1
            await asyncio.sleep(0.02)

    async def everywhere() -> None:
        for tab in tabs:
            await tab.shows(messages=total)

    await write(20)
    await everywhere()
    await asyncio.to_thread(redis.kill)
    await write(30)
    # Without any layer, by the sweep.
    await everywhere()
    readyz = await ada.http.get(f"{here.url}/readyz")
    assert (readyz.status_code, readyz.json()["layer"]) == (200, "down")
    healthz = await ada.http.get(f"{here.url}/healthz")
    assert healthz.status_code == 200
    pouring = asyncio.create_task(write(60))
    await asyncio.to_thread(redis.start)
    await pouring
    await everywhere()
    assert all(tab.is_open for tab in tabs)
    for tab in tabs:
        await tab.agree()
        assert tab.resets == 0
        assert set(tab.told.values()) == {1}
    # Frozen is worse than dead: connections stay open, and nothing answers.
    redis.pause()
    try:
        await write(20)
        await everywhere()
    finally:
        redis.resume()
    await write(5)
    await everywhere()
    print(f"slowest save {slowest:.2f} s")
    assert slowest < 3
    # And the pushes come back.
    pushed = len([frame for frame in tabs[1].of_type("inbox") if not frame["replayed"]])
    deadline = time.monotonic() + 30
    while len([frame for frame in tabs[1].of_type("inbox") if not frame["replayed"]]) == pushed:
        assert time.monotonic() < deadline, "no push any more"
        await write(1)
    await everywhere()
    assert all(tab.is_open for tab in tabs)
    await world.check_inboxes()


async def test_no_socket_closes_and_nothing_is_missing_when_postgresql_is_restarted(
    postgresql_world: World, postgresql: PostgresServer
) -> None:
    world = postgresql_world
    server = await world.start(REALTIME_SWEEP_SECONDS="1")
    ada, grace = world.people(server, 2)
    tabs = [await grace.tab() for _ in range(3)]
    watcher = await ada.tab()
    for number in range(10):
        await ada.write_to(grace, f"Before {number}")
    await tabs[0].shows(messages=10)

    await asyncio.to_thread(postgresql.kill)
    down = await ready(ada, server.url, 503)
    assert down["database"] == "down"
    assert (await ada.http.get(f"{server.url}/healthz")).status_code == 200
    # The sockets answer, and the sweeps fail.
    for tab in tabs:
        await tab.send(type="ping", ref="there?")
        await tab.until(lambda tab: tab.of_type("pong"))
    await asyncio.sleep(2)
    await asyncio.to_thread(postgresql.start)
    assert (await ready(ada, server.url, 200))["database"] == "ok"

    for number in range(10):
        await ada.write_to(grace, f"After {number}")
    for tab in tabs:
        await tab.shows(messages=20, seconds=30)
        assert tab.is_open
        await tab.agree()
        assert set(tab.told.values()) == {1}
    assert watcher.is_open
    assert watcher.sees_online(grace)
    await world.check_inboxes()


async def ready(person: Person, url: str, status: int, seconds: float = 30) -> dict[str, str]:
    """Wait until /readyz has this status."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await person.http.get(f"{url}/readyz")
        if answer.status_code == status:
            found: dict[str, str] = answer.json()
            return found
        assert time.monotonic() < deadline, f"/readyz says {answer.status_code}: {answer.text}"
        await asyncio.sleep(0.2)
