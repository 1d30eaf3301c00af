"""`make chaos` in short: one run with the faults of T1, T2, T3 and T6, and a control that must fail."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.checker import check
from tests.chaos.clients import until
from tests.chaos.run import Run
from tests.chaos.testbed import Testbed

from .conftest import DeploymentFactory

SEED = 4
PEOPLE = 60
# Only a failing run waits so long.
TIMEOUT = 60
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
async def run(deployments: DeploymentFactory, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    testbed = Testbed(deployments.folder, deployments.template, deployments.environment)
    made = Run(testbed, f"chaos-{request.node.name[:20]}", PEOPLE, SEED)
    yield made
    await made.close()


async def more_writes(run: Run, count: int) -> None:
    """Wait for this many further acknowledged changes."""
    so_far = run.history.acknowledged()
    await until(lambda: run.history.acknowledged() >= so_far + count, TIMEOUT, f"{count} writes")


async def test_kills_restarts_and_a_drain_under_load_cause_no_loss_no_duplicate_and_no_phantom(
    run: Run,
) -> None:
    began = time.monotonic()
    node, other = await run.start_two(REALTIME_LEASE_SECONDS="5", REALTIME_OFFLINE_GRACE_SECONDS="1")
    people = await run.start_live_readers(PEOPLE - 10)
    leaving = run.start_readers(run.take_people(10))
    for reader in run.readers:
        reader.retry_seconds = 1
    await run.start_orm_writer(people, 60)
    run.start_http_writer(people, 10)
    await more_writes(run, 50)

    await run.in_thread(node.kill)
    await more_writes(run, 50)
    await run.in_thread(node.start)
    await run.in_thread(run.redis.kill)
    await more_writes(run, 50)
    await run.in_thread(run.redis.start)
    await more_writes(run, 50)
    await run.in_thread(other.stop)
    await run.in_thread(other.start)
    for reader in leaving:
        await reader.stop()
    await more_writes(run, 50)

    verdict = await run.verdict(TIMEOUT)
    print(f"{run.history.acknowledged()} changes, {verdict.expected} deliveries: {verdict}; {verdict.closes}")
    assert verdict.ok, verdict.examples
    # The faults took effect.
    assert {1006, 1012} <= verdict.closes.keys()
    assert verdict.expected > 100
    took = await run.wait_for_true_presence()
    assert not run.logged_faults()
    print(f"presence true after {took:.1f} s; {time.monotonic() - began:.0f} s in all")


async def test_the_tutorial_consumer_loses_rows_in_it_and_the_checker_says_so(run: Run) -> None:
    """Negative control: Redis is killed under writes, and the checker finds the missing rows."""
    await run.start("tutorial")
    people = await run.start_live_readers(10)
    run.start_http_writer(people, 30)
    await more_writes(run, 20)
    await run.in_thread(run.redis.kill)
    await more_writes(run, 20)
    await run.in_thread(run.redis.start)
    await run.stop_writers()
    verdict = check(run.history, await run.in_thread(run.final_state))
    assert verdict.faults["missing"] >= 10
    assert set(verdict.faults) <= {"missing", "wrong badge"}
