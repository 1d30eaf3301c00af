"""docs/client.md: its program in Python, run as it stands, against a server that is killed under it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from .conftest import Deployment
from .servers import ROOT

Program = Callable[..., Awaitable[asyncio.subprocess.Process]]
SECONDS = 60


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    [text] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    file = tmp_path / "client.py"
    file.write_text(text)
    started: list[asyncio.subprocess.Process] = []

    async def start(url: str, token: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(file),
            env={"PATH": os.environ["PATH"], "DOORBELL_URL": url, "DOORBELL_TOKEN": token},
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
