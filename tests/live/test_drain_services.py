"""`serve` after SIGTERM while a statement of a request waits for a lock."""

import asyncio

import psycopg

from realtime.tests.client import eventually

from .conftest import Deployment

WAITING = """
SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE NOT granted AND datname = current_database() AND relation = 'messaging_notification'::regclass
"""


async def test_a_statement_that_waits_for_a_lock_does_not_keep_the_process(deployment: Deployment) -> None:
    given_up = "threads that still run are given up"
    # The others are uvicorn's, of the request that it cancels.
    deployment.expected_faults = (given_up, "Cancel 1 running task(s)", "Exception in ASGI application")
    server = await deployment.start()
    ada = deployment.person(server)
    with psycopg.connect(deployment.environment["DATABASE_URL"]) as holder:
        holder.execute("LOCK TABLE messaging_notification")
        reading = asyncio.create_task(ada.http.get(f"{server.url}/api/v1/notifications"))
        await eventually(lambda: holder.execute(WAITING).rowcount)
        assert await asyncio.to_thread(server.stop, 30) == 0
        await asyncio.gather(reading, return_exceptions=True)
    assert f" WARNING realtime.server.server: {given_up}" in server.log.read_text()
