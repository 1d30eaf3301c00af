"""A burst of messages, with pages that drop and reconnect meanwhile."""

import asyncio
import random

from conftest import size

from .client import Person
from .conftest import Deployment
from .tab import Tab

MESSAGES, SENDERS = size(200, full=500), 5


async def test_a_burst_reaches_three_tabs_that_drop_and_resume_at_random(deployment: Deployment) -> None:
    server = await deployment.start()
    grace, *senders = deployment.people(server, 1 + SENDERS)
    tabs = [await grace.tab() for _ in range(3)]
    chance = random.Random(20261123)
    pouring = asyncio.create_task(pour(senders, grace))
    drops = await asyncio.gather(*(come_and_go(tab, pouring, random.Random(chance.random())) for tab in tabs))
    await pouring

    for tab in tabs:
        fresh = await tab.until_consistent(60)
        assert len(fresh.items) == fresh.unread_count == MESSAGES
        assert tab.inbox.resets == 0
        # Each notification once, over all of a tab's connections; the client itself checks the revisions.
        assert tab.inbox.times_added == dict.fromkeys(fresh.items, 1)
    assert sum(drops) >= 3, "nothing was tried"
    assert any(frame["replayed"] for tab in tabs for frame in tab.of_type("inbox"))
    assert any(not frame["replayed"] for tab in tabs for frame in tab.of_type("inbox"))

    await grace.call("POST", "notifications/read", json={"all": True})
    for tab in tabs:
        assert (await tab.until_consistent()).unread_count == 0
    await deployment.check_inboxes()


async def pour(senders: list[Person], receiver: Person) -> None:
    async def send(sender: Person) -> None:
        for number in range(MESSAGES // SENDERS):
            await sender.write_to(receiver, f"Number {number}")

    await asyncio.gather(*(send(sender) for sender in senders))


async def come_and_go(tab: Tab, pouring: "asyncio.Task[None]", chance: random.Random) -> int:
    drops = 0
    while not pouring.done():
        await asyncio.sleep(chance.uniform(0, 0.5))
        if chance.random() < 0.5:
            await tab.drop()
        else:
            await tab.close()
        await asyncio.sleep(chance.uniform(0, 0.3))
        await tab.reopen()
        drops += 1
    return drops
