"""Hashing a password is the dearest thing that anyone without a login can ask for: it must not starve the others.

(With PostgreSQL: what they are starved of are the connections of its pool.)
"""

import asyncio
import json
from collections import Counter

import pytest

from .conftest import Deployment
from .servers import PASSWORD, Server


async def sign_in(server: Server, username: str, password: str) -> int | str:
    """Returns the status, or "busy" for a 503 because the address has more requests waiting than are served in time."""
    body = json.dumps({"username": username, "password": password}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST /api/v1/session HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        answer = head + await reader.read(1000)
        return "busy" if b"The server is busy" in answer else int(answer.split()[1])
    finally:
        writer.transport.abort()


@pytest.mark.timeout(300)  # on a busy machine sixty hashes take minutes
async def test_six_hundred_wrong_sign_ins_at_once_cost_no_one_else_an_answer(deployment: Deployment) -> None:
    """Without the bound they took every connection to the database for as long as the hashes lasted: 503."""
    server = await deployment.start()
    ada = deployment.person(server)
    tab = await ada.tab()
    guesses = [asyncio.create_task(sign_in(server, f"no-such-user-{n}", "x")) for n in range(600)]
    answers = 0
    while not all(guess.done() for guess in guesses):
        await ada.call("GET", "notifications?limit=5")
        answers += 1
        await asyncio.sleep(0.2)
    assert answers
    statuses = Counter([await guess for guess in guesses])
    # One client has eight requests at once, so the queue of the sign-ins (429) need not be full. No 503 is another's.
    assert set(statuses) <= {401, 429, "busy"}, statuses
    assert 0 < statuses[401] <= 100
    assert tab.is_open


async def test_a_burst_of_people_who_sign_in_is_served(deployment: Deployment) -> None:
    server = await deployment.start()
    people = [account["username"] for account in deployment.database.people[:10]]
    statuses = await asyncio.gather(*(sign_in(server, name, PASSWORD) for name in people))
    assert statuses == [200] * 10
