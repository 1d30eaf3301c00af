"""/metrics of a real process with real sockets."""

import asyncio
from collections.abc import Callable

import httpx

from .conftest import Deployment
from .servers import Server

Numbers = dict[str, float]


async def read(server: Server, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as http:
        return await http.get(f"{server.url}/metrics", headers=headers)


async def numbers(server: Server) -> Numbers:
    answer = await read(server)
    assert answer.status_code == 200
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


async def until(server: Server, condition: Callable[[Numbers], bool]) -> Numbers:
    async with asyncio.timeout(60):
        while not condition(shown := await numbers(server)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return shown


async def test_the_metrics_show_what_happens(shared: Deployment) -> None:
    [server] = shared.servers
    before = await until(server, lambda shown: shown["doorbell_sockets"] == 0)
    ada, grace = shared.people(server, 2)
    tab, other = await ada.tab(), await grace.tab()
    await ada.write_to(grace, "Hello")
    await other.until_shows(messages=1)
    least = {"frames_sent": 7, "revisions": 1, "sockets_opened": 2, "presence_events": 2}

    def all_counted(shown: Numbers) -> bool:
        names = {f"doorbell_{name}_total": count for name, count in least.items()}
        # (The layer counts as unhealthy for a while when Redis answered the last two probes late.)
        well = shown["doorbell_database_up"] == 1 == shown.get("doorbell_layer_healthy", 1)
        return well and all(shown[name] - before[name] >= count for name, count in names.items())

    shown = await until(server, all_counted)
    assert shown["doorbell_sockets"] == 2
    assert (shown["doorbell_draining"], shown["doorbell_presence_lease"]) == (0, 1)
    assert shown["process_resident_memory_bytes"] > 10_000_000
    assert ("doorbell_layer_healthy" in shown) == shared.with_redis
    text = (await read(server)).text
    assert ada.username not in text
    assert grace.username not in text
    await tab.close()
    await other.close()
    shown = await until(server, lambda shown: shown["doorbell_sockets"] == 0)
    ended = 'doorbell_sockets_closed_total{code="client"}'
    assert shown[ended] - before.get(ended, 0) == 2


async def test_with_a_token_it_is_for_those_who_have_it(deployment: Deployment) -> None:
    server = await deployment.start(METRICS_TOKEN="secret")
    assert (await read(server)).status_code == 401
    assert (await read(server, "wrong")).status_code == 401
    assert "doorbell_sockets 0.0" in (await read(server, "secret")).text
