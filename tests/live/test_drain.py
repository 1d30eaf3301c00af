"""`serve` after SIGTERM: what it answers while it drains, and that it doesn't wait without need."""

import asyncio
import re
import signal

from .conftest import Deployment
from .test_handshake import refused


async def test_while_it_waits_for_the_load_balancer_it_serves_its_sockets_and_refuses_new_ones(
    deployment: Deployment,
) -> None:
    server = await deployment.start(REALTIME_PREDRAIN_SECONDS="600")
    ada, grace = deployment.people(server, 2)
    tab = await grace.tab()
    assert await ada.readyz("ok") == 200
    server.signal(signal.SIGTERM)
    assert await ada.readyz("draining") == 503
    assert (await ada.http.get(f"{server.url}/healthz")).status_code == 200
    assert await refused(ada) == 503
    await ada.write_to(grace)
    await tab.until_shows(messages=1)
    await tab.until_consistent()

    # A second one ends it at once, however much is left to do.
    await asyncio.sleep(1)  # two in the same moment are one
    server.signal(signal.SIGTERM)
    assert await tab.until_closed() == 1006
    assert await asyncio.to_thread(server.wait, 10) == -signal.SIGTERM


async def test_a_group_that_gets_the_signal_twice_in_a_moment_is_drained_all_the_same(
    deployment: Deployment,
) -> None:
    server = await deployment.start()
    tab = await deployment.person(server).tab()
    # Stopped meanwhile, it gets both at once, however long this process is held up between the two.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        server.signal(number)
    assert await tab.until_closed() == 1012
    assert await asyncio.to_thread(server.wait, 25) == 0


async def test_without_sockets_it_exits_at_once(deployment: Deployment) -> None:
    server = await deployment.start(REALTIME_PREDRAIN_SECONDS="600", REALTIME_DRAIN_SECONDS="600")
    assert await asyncio.to_thread(server.stop, 20) == 0


async def test_few_sockets_take_less_than_the_whole_time(deployment: Deployment) -> None:
    server = await deployment.start(REALTIME_PREDRAIN_SECONDS="0", REALTIME_DRAIN_SECONDS="600")
    tabs = [await deployment.person(server).tab() for _ in range(5)]
    assert await asyncio.to_thread(server.stop, 20) == 0
    assert [await tab.until_closed() for tab in tabs] == [1012] * 5
    logged = server.log.read_text()
    assert re.search(
        r" INFO realtime\.server\.findings: Doorbell \d\S+, process \d+: \w+.* migrated; ", logged
    ), logged
    assert " INFO realtime.server.server: draining: 5 sockets, " in logged
    assert re.search(r" INFO realtime\.server\.server: ended after \d+\.\d s$", logged, re.MULTILINE)


async def test_a_client_that_does_not_answer_the_close_frame_delays_nothing(deployment: Deployment) -> None:
    server = await deployment.start()
    silent = await deployment.person(server).socket()
    # It receives the close frame and doesn't answer.
    silent.transport.pause_reading()
    assert await asyncio.to_thread(server.stop, 20) == 0
    silent.transport.abort()
