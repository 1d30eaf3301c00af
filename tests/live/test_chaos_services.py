"""`make chaos` in short: one run with what happens in T1, T2, T3 and T6, and the control that must fail in it."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.checker import check
from tests.chaos.clients import until
from tests.chaos.stage import Stage
from tests.chaos.theatre import Theatre

from .conftest import Worlds

SEED = 4
PEOPLE = 60
# Only a run that fails waits so long.
PATIENCE = 60
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
async def stage(worlds: Worlds, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    theatre = Theatre(worlds.folder, worlds.template, worlds.environment)
    made = Stage(theatre, f"chaos-{request.node.name[:20]}", PEOPLE, SEED)
    yield made
    await made.close()


async def more_writes(stage: Stage, count: int) -> None:
    """Let the load go on for so many acknowledged changes."""
    so_far = stage.history.acknowledged()
    await until(lambda: stage.history.acknowledged() >= so_far + count, PATIENCE, f"{count} writes")


async def test_what_is_killed_restarted_and_drained_under_load_loses_doubles_and_invents_nothing(
    stage: Stage,
) -> None:
    began = time.monotonic()
    node, other = await stage.start_two(REALTIME_LEASE_SECONDS="5", REALTIME_OFFLINE_GRACE_SECONDS="1")
    people = await stage.audience(PEOPLE - 10)
    leaving = stage.read(stage.people(10))
    for reader in stage.readers:
        reader.retry_seconds = 1
    await stage.write_orm(people, 60)
    stage.write_http(people, 10)
    await more_writes(stage, 50)

    await stage.run(node.kill)
    await more_writes(stage, 50)
    await stage.run(node.start)
    await stage.run(stage.redis.kill)
    await more_writes(stage, 50)
    await stage.run(stage.redis.start)
    await more_writes(stage, 50)
    await stage.run(other.stop)
    await stage.run(other.start)
    for reader in leaving:
        await reader.stop()
    await more_writes(stage, 50)

    verdict = await stage.verdict(PATIENCE)
    print(f"{stage.history.acknowledged()} changes, {verdict.expected} hearings: {verdict}; {verdict.closes}")
    assert verdict.ok, verdict.examples
    # All of it happened.
    assert {1006, 1012} <= verdict.closes.keys()
    assert verdict.expected > 100
    took = await stage.presence_is_true()
    assert not stage.logged_faults()
    print(f"presence true after {took:.1f} s; {time.monotonic() - began:.0f} s in all")


async def test_the_tutorial_consumer_loses_rows_in_it_and_the_checker_says_so(stage: Stage) -> None:
    """Negative control: Redis is killed under writes, and everything the checker needs is there."""
    await stage.start("tutorial")
    people = await stage.audience(10)
    stage.write_http(people, 30)
    await more_writes(stage, 20)
    await stage.run(stage.redis.kill)
    await more_writes(stage, 20)
    await stage.run(stage.redis.start)
    await stage.stop_writing()
    verdict = check(stage.history, await stage.run(stage.truth))
    assert verdict.faults["missing"] >= 10
    assert set(verdict.faults) <= {"missing", "wrong badge"}
