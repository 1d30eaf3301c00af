"""`serve` after SIGTERM while a statement of a request waits for a lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg
import pytest

from realtime.tests.client import eventually

from .conftest import Deployment
from .servers import Server

WAITING = """
SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE NOT granted AND datname = current_database() AND relation = 'messaging_notification'::regclass
"""
# Logged by uvicorn.
CANCELLED = "running task(s), timeout graceful shutdown exceeded"
REQUEST_ID = "held"
READS = 5


def assert_unavailable(answers: list[httpx.Response]) -> None:
    assert len(answers) == READS
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"] == REQUEST_ID


@asynccontextmanager
async def held_reads(
    deployment: Deployment,
) -> AsyncIterator[tuple[Server, asyncio.Future[list[httpx.Response]]]]:
    """A server, and calls of its API whose statements wait for a lock until the end of the block."""
    server = await deployment.start()
    ada = deployment.person(server)
    with psycopg.connect(deployment.environment["DATABASE_URL"]) as holder:
        holder.execute("LOCK TABLE messaging_notification")
        url, headers = f"{server.url}/api/v1/notifications", {"X-Request-ID": REQUEST_ID}
        reading = asyncio.gather(*(ada.http.get(url, headers=headers) for _ in range(READS)))
        await eventually(lambda: holder.execute(WAITING).rowcount)
        yield server, reading


async def test_a_statement_that_waits_for_a_lock_does_not_keep_the_process(deployment: Deployment) -> None:
    given_up = "threads that still run are given up"
    deployment.expected_faults = (given_up, CANCELLED)
    async with held_reads(deployment) as (server, reading):
        assert await asyncio.to_thread(server.stop, 30) == 0
        assert_unavailable(await reading)
    assert f" WARNING realtime.server.server: {given_up}" in server.log.read_text()


@pytest.mark.parametrize("after", ["its answer", "its cancellation"])
async def test_a_statement_that_ends_late_is_no_fault(deployment: Deployment, after: str) -> None:
    deployment.expected_faults = (CANCELLED,)
    async with held_reads(deployment) as (server, reading):
        stopping = asyncio.create_task(asyncio.to_thread(server.stop, 30))
        assert_unavailable(await reading)
        if after == "its cancellation":
            await eventually(lambda: CANCELLED in server.log.read_text())
    assert await stopping == 0
