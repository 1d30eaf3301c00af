"""docs/client.md: its program in Python, run as it stands, against a server that is killed under it, and of groups."""

import asyncio
import json
import os
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .client import Person
from .conftest import Deployment
from .servers import ROOT

Program = Callable[..., Awaitable[asyncio.subprocess.Process]]
SECONDS = 60
# For a line that it reads, the program shows what it holds.
SHOW = """
import sys

frames = 0


def counted(frame, apply=apply):
    global frames
    frames += 1
    apply(frame)


def show():
    sys.stdin.readline()
    print("held:", json.dumps({**at, "frames": frames, "rows": list(rows.values())}), flush=True)


async def shown():
    asyncio.get_running_loop().add_reader(sys.stdin, show)
    await main()


apply = counted
asyncio.run(shown())
"""


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    [text] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    assert text.endswith("\nasyncio.run(main())\n")
    file = tmp_path / "client.py"
    file.write_text(text.removesuffix("asyncio.run(main())\n") + SHOW)
    started: list[asyncio.subprocess.Process] = []

    async def start(url: str, token: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(file),
            env={"PATH": os.environ["PATH"], "DOORBELL_URL": url, "DOORBELL_TOKEN": token},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_client_in_python_prints_everything_once_through_a_killed_server(
    deployment: Deployment, program: Program
) -> None:
    server = await deployment.start()
    ada, grace = deployment.people(server, 2)
    secret = (await deployment.manage("create_api_token", "program", "--user", grace.username)).split()[-1]
    await ada.write_to(grace, "before it began: it comes with the list")
    process = await program(server.url, secret)
    watcher = await ada.tab()
    await watcher.until(lambda tab: tab.sees_online(grace), SECONDS, "the program connected")

    async def receive() -> str:
        """The next message. (Changes of Ada's presence are notified too, at any time.)"""
        assert process.stdout is not None
        while line := await asyncio.wait_for(process.stdout.readline(), SECONDS):
            if line.startswith(f"new: New message from {ada.username} | ".encode()):
                return line.decode()
        raise AssertionError("the program ended")

    await ada.write_to(grace, "live")
    assert "live" in await receive()
    server.kill()
    code = f"""
from django.contrib.auth.models import User
from messaging.models import Message
for number in range(3):
    Message.objects.create(sender_id={ada.id}, receiver_id={grace.id}, content=f"while it was away {{number}}")
"""
    await deployment.manage("shell", "-v0", "-c", code)
    await asyncio.to_thread(server.start)
    for number in range(3):
        assert f"while it was away {number}" in await receive()
    await ada.write_to(grace, "live again")
    assert "live again" in await receive()
    assert process.returncode is None


async def test_the_client_in_python_stops_when_its_token_is_no_good(
    deployment: Deployment, program: Program
) -> None:
    server = await deployment.start()
    process = await program(server.url, "not-a-token")
    _, complaint = await asyncio.wait_for(process.communicate(), SECONDS)
    assert (process.returncode, complaint.decode().strip()) == (1, "the token is not valid")


# --- Groups -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def blog(deployment: Deployment, tmp_path: Path) -> Deployment:
    """A deployment with docs/extending.md's comments, which have groups."""
    section = (ROOT / "docs/extending.md").read_text().partition("## A type that grows")[2]
    files = {
        "blog/__init__.py": "",
        "blog/notification_types.py": re.findall(r"```py\n(.*?)```", section, re.DOTALL)[0],
        "blog/apps.py": """
from django.apps import AppConfig
class BlogConfig(AppConfig):
    name = "blog"
    def ready(self):
        from . import notification_types
""",
        "blog_settings.py": """
from config.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "blog"]
""",
    }
    (tmp_path / "blog").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    deployment.environment |= {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "blog_settings"}
    return deployment


def comments(person: Person, count: int) -> list[dict[str, Any]]:
    """What to publish: so many comments, on three pages in turn."""
    pages = (
        (number, {"author": "Ada", "page_id": number % 3, "page": f"Page {number % 3}"})
        for number in range(count)
    )
    return [
        {
            "user": person.username,
            "notification_type": "new_comment",
            "data": {**page, "excerpt": f"Number {number}"},
        }
        for number, page in pages
    ]


@pytest.mark.timeout(300)
async def test_the_client_in_python_follows_groups_unawares(blog: Deployment, program: Program) -> None:
    server = await blog.start()
    grace = blog.person(server)
    made = await blog.manage("create_api_token", "program", "--user", grace.username, "--publish")
    secret = made.split()[-1]
    process = await program(server.url, secret)

    async def publish(count: int) -> None:
        answer = await outside.post("publish", json=comments(grace, count))
        assert answer.json()["created"] == count, answer.text

    async def until_it_holds_what_is_true() -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + SECONDS
        while True:
            fresh = await grace.inbox()
            process.stdin.write(b"\n")
            while not (line := await asyncio.wait_for(process.stdout.readline(), SECONDS)).startswith(
                b"held:"
            ):
                assert line, "the program ended"
            held: dict[str, Any] = json.loads(line.removeprefix(b"held:"))
            shown = {row["id"]: row for row in held["rows"]}
            if (held.get("revision"), held.get("unread_count"), shown) == (
                fresh.revision,
                fresh.unread_count,
                fresh.items,
            ):
                assert fresh.unread == fresh.unread_count
                return held
            assert time.monotonic() < deadline, f"{held} is held, {fresh} is true"
            await asyncio.sleep(0.1)

    chance = random.Random(20261127)

    async def change(number: int) -> None:
        some = [chance.choice(sorted((await grace.inbox()).items))]
        if number % 5 == 2:
            # (One that has joined another since is gone: 404.)
            await grace.http.delete(f"notifications/{some[0]}")
        else:
            what = ("read", "unread")[number % 2]
            await grace.call("POST", f"notifications/{what}", json={"ids": some})

    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(
        base_url=f"{server.url}/api/v1/", headers=headers, trust_env=False, timeout=30
    ) as outside:
        await publish(10)
        await until_it_holds_what_is_true()
        for number in range(20):
            await asyncio.gather(publish(10), change(number))
        held = await until_it_holds_what_is_true()
        assert 3 <= len(held["rows"]) < 50 < sum(row["count"] for row in held["rows"])
        print(f"{held['frames']} frames, {len(held['rows'])} rows, badge {held['unread_count']}")
        await grace.call("POST", "notifications/read", json={"all": True})
        await until_it_holds_what_is_true()

        # Through a restart, by a catch-up.
        server.kill()
        code = f"""
from messaging.notifications import notify
for item in {comments(grace, 60)!r}:
    notify({grace.id}, item["notification_type"], data=item["data"])
"""
        await blog.manage("shell", "-v0", "-c", code)
        await asyncio.to_thread(server.start)
        held = await until_it_holds_what_is_true()
        assert held["unread_count"] == 3
        assert sorted(row["title"] for row in held["rows"] if not row["is_read"]) == [
            f"20 comments on Page {number}" for number in range(3)
        ]
    await blog.check_inboxes()
