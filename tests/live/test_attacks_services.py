"""The attacks of `make chaos` in short: one after the other on the same servers, with honest people beside them."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from conftest import size
from tests.chaos.run import Run
from tests.chaos.testbed import Testbed
from tests.chaos.under_attack import Scene

from .conftest import DeploymentFactory

SECONDS, CONNECTIONS = size(1, full=2), 20
# Generous: the first attack fills caches, and Python keeps what it has once had.
MOST_GROWTH = 192 * 2**20
ATTACKS = ("frames", "bodies", "strangers", "documents", "concurrent_calls", "scanners")
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
async def scene(deployments: DeploymentFactory) -> AsyncIterator[Scene]:
    testbed = Testbed(deployments.folder, deployments.template, deployments.environment)
    run = Run(testbed, "attacks", 0, 5)
    try:
        with contextlib.closing(Scene(run, people=10)) as made:
            await made.open()
            yield made
    finally:
        await run.close()


async def test_beside_attacks_others_lose_nothing_and_are_not_shown_offline(scene: Scene) -> None:
    for attack in ATTACKS:
        measures = await scene.attack(attack, CONNECTIONS, SECONDS, after_seconds=0.5, calm_seconds=0.5)
        print(f"{attack}: {measures}")
        assert measures.opened, f"{attack} did nothing"
        assert not measures.lost, f"{attack}: sockets were closed"
        assert not measures.offline, f"{attack}: users were shown offline"
        assert measures.most_growth < MOST_GROWTH, f"{attack}: {measures}"
        assert not measures.stored, f"{attack}: a body was stored"
    verdict = await scene.run.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.expected > 50
    assert not scene.run.logged_faults()
