"""Publishing over HTTP by a program without Django."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from .client import Person
from .conftest import Deployment

# What a program needs: its standard library. (`curl` isn't everywhere.)
PROGRAM = """
import sys, urllib.error, urllib.request
url, secret, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    answer = opener.open(urllib.request.Request(url, body.encode(), headers), timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


class Program:
    def __init__(self, deployment: Deployment, secret: str) -> None:
        self.url = f"{deployment.servers[0].url}/api/v1/publish"
        self.secret = secret

    async def publish(self, body: Any) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-c", PROGRAM, self.url, self.secret, json.dumps(body)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        status, _, answer = done.stdout.partition(" ")
        return int(status), json.loads(answer)


@pytest.fixture
async def program(shared: Deployment) -> Program:
    return Program(shared, (await shared.manage("create_api_token", "shop")).strip())


def item(person: Person, title: str, **more: Any) -> dict[str, Any]:
    return {"user": person.username, "notification_type": "announcement", "title": title, **more}


async def test_twice_with_the_same_key_is_one_toast(shared: Deployment, program: Program) -> None:
    ada, grace = shared.people(shared.servers[0], 2)
    tab, second, other = await ada.tab(), await ada.tab(), await grace.tab()
    order = item(ada, "Your order has left", level="success", url="/orders/7/", idempotency_key="order-7")
    assert await program.publish(order) == (202, {"created": 1, "duplicates": 0, "errors": []})
    assert await program.publish(order) == (202, {"created": 0, "duplicates": 1, "errors": []})
    # A later notification has arrived, so a second toast would have arrived before it.
    assert (await program.publish(item(ada, "The last one")))[1]["created"] == 1
    for page in (tab, second):
        await page.until_shows(messages=0, unread=2)
        titles = [shown["title"] for frame in page.of_type("inbox") for shown in frame.get("added", [])]
        assert titles == ["Your order has left", "The last one"]
    [shown] = [row for row in tab.inbox.items.values() if row["title"] == "Your order has left"]
    assert (shown["level"], shown["url"], shown["description"]) == ("success", "/orders/7/", "")
    assert (shown["actor"], shown["message_id"], shown["is_read"]) == (None, None, False)
    await tab.until_consistent()
    await other.until_shows(unread=0)


async def test_at_the_same_moment_with_the_same_key_it_is_one_too(
    shared: Deployment, program: Program
) -> None:
    ada = shared.person(shared.servers[0])
    tab = await ada.tab()
    order = item(ada, "Your order has left", idempotency_key="order-8")
    answers = await asyncio.gather(*(program.publish(order) for _ in range(4)))
    assert {status for status, _ in answers} == {202}
    assert [sum(answer[name] for _, answer in answers) for name in ("created", "duplicates")] == [1, 3]
    await tab.until_shows(messages=0, unread=1)
    await tab.until_consistent()


async def test_the_others_go_through_and_atomic_is_all_or_nothing(
    shared: Deployment, program: Program
) -> None:
    ada, grace = shared.people(shared.servers[0], 2)
    tab, other = await ada.tab(), await grace.tab()
    items = [item(ada, "One"), {**item(ada, "?"), "user": "no-such-user"}, item(grace, "Two")]
    status, answer = await program.publish({"items": items, "atomic": True})
    assert (status, answer["code"]) == (422, "nothing_published")
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "unknown_user")]
    status, answer = await program.publish({"items": [*items, {**items[0], "notification_type": "?"}]})
    assert (status, answer["created"], answer["duplicates"]) == (202, 2, 0)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (1, "unknown_user"),
        (3, "unknown_type"),
    ]
    assert all(error.keys() == {"index", "code", "detail"} for error in answer["errors"])
    await tab.until_shows(messages=0, unread=1)
    await other.until_shows(messages=0, unread=1)


async def test_500_at_once_arrive_and_501_are_refused(shared: Deployment, program: Program) -> None:
    ada = shared.person(shared.servers[0])
    tab = await ada.tab()
    items = [item(ada, f"Number {number}") for number in range(500)]
    status, answer = await program.publish({"items": [*items, item(ada, "One too many")]})
    assert (status, answer["code"]) == (422, "invalid")
    status, answer = await program.publish({"items": items, "atomic": True})
    assert (status, answer) == (202, {"created": 500, "duplicates": 0, "errors": []})
    await tab.until_shows(messages=0, unread=500)
    await tab.until_consistent()


async def test_without_the_right_nothing_is_published(shared: Deployment, program: Program) -> None:
    ada = shared.person(shared.servers[0])
    tab = await ada.tab()
    own = (await shared.manage("create_api_token", "ada's own", "--user", ada.username)).strip()
    for secret, expected in (("nonsense", (401, "not_signed_in")), (own, (403, "not_allowed"))):
        program.secret = secret
        status, answer = await program.publish(item(ada, "Not for you"))
        assert (status, answer["code"]) == expected
    await tab.until_shows(messages=0, unread=0)
