"""A deploy: two processes are restarted one after the other under clients. CLIENTS=2000 makes it a measurement."""

import asyncio
import os
import random
import time
from collections import Counter

import pytest
from websockets.exceptions import InvalidHandshake

from .client import Person
from .conftest import Deployment
from .servers import Server
from .tab import SocketEnded, Tab

CLIENTS = int(os.environ.get("CLIENTS", "40"))
PEOPLE = 20
# The first retry of the contract comes within 5 s. Here a shorter one will do.
FIRST_RETRY_SECONDS = 5 if CLIENTS > 100 else 1
SEED = 20_261_127

WRITER = """
import select, sys, time
from messaging import notifications
users = %r
made = 0
print("writing", flush=True)
while not select.select([sys.stdin], [], [], %r)[0]:
    notifications.create([notifications.build(users[made %% len(users)], "announcement", str(made), "")])
    made += 1
print(made, flush=True)
"""


class Client:
    """A page behind a load balancer: it reconnects to whichever process accepts it."""

    def __init__(self, at: list[Person], number: int) -> None:
        self.at = at
        self.chance = random.Random(SEED + number)
        self.tab: Tab
        self.closes: list[tuple[float, int | None]] = []
        self.leaving = False

    async def run(self) -> None:
        while True:
            await self.tab.until_closed(600)
            if self.leaving:
                return
            self.closes.append((time.monotonic(), self.tab.close_code))
            await asyncio.sleep(self.chance.uniform(0, FIRST_RETRY_SECONDS))
            await self.come_back()

    async def come_back(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            await self.tab.drop()
            self.tab.person = self.chance.choice(self.at)
            try:
                await self.tab.open()
            except (OSError, InvalidHandshake, SocketEnded):
                assert time.monotonic() < deadline, "no server accepts the socket"
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.timeout(600)
async def test_a_deploy_loses_and_doubles_nothing_and_shows_no_user_offline(
    deployment: Deployment,
) -> None:
    settings = {"REALTIME_MAX_CONNECTIONS_PER_USER": str(CLIENTS), "REALTIME_PREDRAIN_SECONDS": "1"}
    servers = list(await deployment.start_two(**settings))
    people = deployment.people(servers[0], PEOPLE)
    there = [deployment.at_server(person, servers[1]) for person in people]
    clients = [Client([people[n % PEOPLE], there[n % PEOPLE]], n) for n in range(CLIENTS)]
    for start in range(0, CLIENTS, 50):
        await asyncio.gather(*(begin(client, n % 2) for n, client in enumerate(clients[start : start + 50])))
    running = [asyncio.create_task(client.run()) for client in clients]
    await asyncio.to_thread(all_online, deployment, people)
    versions = presence(deployment)
    writer = deployment.shell(WRITER % ([person.id for person in people], 0.02))
    assert await asyncio.to_thread(writer.read_line) == "writing"

    for server in servers:
        await restart(server, clients)
    writer.send_line()
    made = int(await asyncio.to_thread(writer.read_line))
    await asyncio.to_thread(writer.end)
    assert made > 0
    # No user was offline in between, or the version would have risen; and all are back.
    await asyncio.to_thread(all_online, deployment, people)
    assert presence(deployment) == versions
    for client in clients:
        client.leaving = True
    assert not [task for task in running if task.done()], "a client gave up"

    counts = await asyncio.gather(*(check(number, clients) for number in range(PEOPLE)))
    assert sum(counts) == made
    for client in clients:
        await client.tab.close()
    await asyncio.gather(*running)
    await deployment.check_inboxes()


async def begin(client: Client, at: int) -> None:
    client.tab = await client.at[at].tab()


async def restart(server: Server, clients: list[Client]) -> None:
    known = {client: len(client.closes) for client in clients}
    began = time.monotonic()
    assert await asyncio.to_thread(server.stop) == 0
    took = time.monotonic() - began
    closes = [close for client in clients for close in client.closes[known[client] :]]
    buckets = Counter(int((at - began) * 10) for at, _ in closes)
    largest, last = max(buckets.values()) / len(closes), max(at for at, _ in closes) - began
    print(
        f"{len(closes)} sockets closed until {last:.1f} s after SIGTERM, at most {largest:.0%} in 100 ms, "
        f"exit after {took:.1f} s"
    )
    assert {code for _, code in closes} == {1012}
    await asyncio.to_thread(server.start)


async def check(number: int, clients: list[Client]) -> int:
    """Compare every page of this user with a fresh read; returns how many notifications there are."""
    mine = clients[number::PEOPLE]
    fresh = await mine[0].tab.until_consistent(60)
    for client in mine:
        await client.tab.until_revision(fresh.revision, 60)
        assert client.tab.inbox == fresh
        assert client.tab.inbox.times_added == dict.fromkeys(fresh.items, 1)
        assert client.tab.inbox.resets == 0
    return len(fresh.items)


def presence(deployment: Deployment) -> dict[int, int]:
    return dict(
        deployment.database.read("SELECT user_id, version FROM messaging_userprofile WHERE is_online")
    )


def all_online(deployment: Deployment, people: list[Person]) -> None:
    deadline = time.monotonic() + 60
    while not presence(deployment).keys() >= {person.id for person in people}:
        assert time.monotonic() < deadline, "a user is offline"
        time.sleep(0.1)
