"""Redis and PostgreSQL go away and come back under a server with sockets."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tools.services import PostgresServer, RedisServer

from .conftest import Deployment, DeploymentFactory
from .servers import Database


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis_world(deployments: DeploymentFactory, redis: RedisServer) -> AsyncIterator[Deployment]:
    made = deployments.make(REDIS_URL=redis.url)
    try:
        yield made
        await made.finish()
    finally:
        made.close()


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def postgresql_world(
    deployments: DeploymentFactory, postgresql: PostgresServer, tmp_path: Path
) -> AsyncIterator[Deployment]:
    database = await asyncio.to_thread(Database.template, tmp_path, postgresql.url, deployments.environment)
    made = Deployment(
        database, tmp_path, {**deployments.environment, "REALTIME_PREFIX": f"own{time.time_ns()}"}
    )
    try:
        yield made
        await made.finish()
    finally:
        made.close()


async def test_no_socket_closes_and_nothing_is_missing_when_redis_is_killed_and_restarted(
    redis_world: Deployment, redis: RedisServer
) -> None:
    deployment = redis_world
    # Sweeps come every 15 s, but more often while Redis is away, and once when it is back.
    here, there = await deployment.start_two()
    ada, grace = deployment.people(here, 2)
    tabs = [await grace.tab(), await deployment.at_server(grace, there).tab(), await grace.tab()]
    total = 0
    took: list[float] = []

    async def write(count: int) -> None:
        nonlocal total
        for _ in range(count):
            began = time.monotonic()
            await ada.write_to(grace, f"Number {total}")
            took.append(time.monotonic() - began)
            total += 1
            await asyncio.sleep(0.02)

    async def everywhere() -> None:
        for tab in tabs:
            await tab.until_shows(messages=total)

    await write(20)
    await everywhere()
    await asyncio.to_thread(redis.kill)
    await write(30)
    # Without any layer, by the sweep.
    await everywhere()
    assert await ada.readyz("degraded", layer="down") == 200
    healthz = await ada.http.get(f"{here.url}/healthz")
    assert healthz.status_code == 200
    pouring = asyncio.create_task(write(60))
    await asyncio.to_thread(redis.start)
    await pouring
    await everywhere()
    assert all(tab.is_open for tab in tabs)
    for tab in tabs:
        await tab.until_consistent()
        assert tab.inbox.resets == 0
        assert set(tab.inbox.times_added.values()) == {1}
    # Frozen is worse than dead: connections stay open, and nothing answers.
    redis.pause()
    took.clear()
    try:
        await write(20)
        # No save waits for Redis, whose time-outs are of a second. (One may be slow for other reasons.)
        print(f"while Redis hung a save took {statistics.median(took):.2f} s, at most {max(took):.2f} s")
        assert statistics.median(took) < 1
        await everywhere()
    finally:
        redis.resume()
    await write(5)
    await everywhere()
    # And the pushes come back.
    pushed = len([frame for frame in tabs[1].of_type("inbox") if not frame["replayed"]])
    deadline = time.monotonic() + 30
    while len([frame for frame in tabs[1].of_type("inbox") if not frame["replayed"]]) == pushed:
        assert time.monotonic() < deadline, "no push any more"
        await write(1)
        # Pushed or swept: in between there is time enough for the limit on calls.
        await everywhere()
    assert all(tab.is_open for tab in tabs)
    await deployment.check_inboxes()


async def test_no_socket_closes_and_nothing_is_missing_when_postgresql_is_restarted(
    postgresql_world: Deployment, postgresql: PostgresServer
) -> None:
    deployment = postgresql_world
    server = await deployment.start(REALTIME_SWEEP_SECONDS="1")
    ada, grace = deployment.people(server, 2)
    tabs = [await grace.tab() for _ in range(3)]
    watcher = await ada.tab()
    for number in range(10):
        await ada.write_to(grace, f"Before {number}")
    await tabs[0].until_shows(messages=10)
    await watcher.until(lambda tab: tab.sees_online(grace), what="Grace online")

    await asyncio.to_thread(postgresql.kill)
    assert await ada.readyz("down", database="down") == 503
    assert (await ada.http.get(f"{server.url}/healthz")).status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        await ada.socket()
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "1"
    # The sockets answer, and the sweeps fail.
    for tab in tabs:
        await tab.send(type="ping", ref="there?")
        await tab.until(lambda tab: tab.of_type("pong"))
    await asyncio.sleep(2)
    await asyncio.to_thread(postgresql.start)
    assert await ada.readyz("ok") == 200

    for number in range(10):
        await ada.write_to(grace, f"After {number}")
    for tab in tabs:
        await tab.until_shows(messages=20, seconds=30)
        assert tab.is_open
        await tab.until_consistent()
        assert set(tab.inbox.times_added.values()) == {1}
    assert watcher.is_open
    assert watcher.sees_online(grace)
    logged = server.log.read_text().splitlines()
    for said in ("PostgreSQL unavailable; ", "PostgreSQL available again after "):
        assert len([line for line in logged if said in line]) == 1, said
    await deployment.check_inboxes()
