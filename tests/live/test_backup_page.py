"""docs/backup.md as it stands: a backup, more writes, its restore, and a client that was connected before."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tools.services import find_postgres

from .client import Person
from .conftest import Deployment
from .servers import ROOT

PAGE = (ROOT / "docs/backup.md").read_text()
OLDER = "the database is older than what servers have seen"


def commands(section: str) -> tuple[str, str]:
    """The commands of a section: those of the backup, and those of the restore."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    backup, restore = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return backup, restore


class Operator:
    """Runs commands of the page in a folder of their own, at the deployment's database."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.backup, self.restore = commands("PostgreSQL" if deployment.database.on_postgresql else "SQLite")
        programs = folder / "bin"
        programs.mkdir()
        python = programs / "python"
        # (By a symbolic link it wouldn't find its virtual environment.)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        path = [str(programs), os.environ["PATH"]]
        if deployment.database.on_postgresql:
            path.insert(1, str(find_postgres()))
        self.environment = {**deployment.environment, "PATH": os.pathsep.join(path)}

    async def run(self, script: str) -> str:
        url = self.deployment.database.url
        # The project's own file is at another place here.
        script = script.replace("var/db.sqlite3", url.removeprefix("sqlite:///"))
        script = script.replace("python manage.py", f"python {ROOT / 'manage.py'}")
        done = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-e", "-c", script],
            cwd=self.folder,
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def operator(deployment: Deployment, tmp_path: Path) -> Operator:
    return Operator(deployment, tmp_path)


def readyz(url: str) -> dict[str, Any]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/readyz") as answer:
        body: dict[str, Any] = json.load(answer)
        return body


async def until_timeline(url: str, expected: str | None) -> None:
    body: dict[str, Any] = {}
    for _ in range(300):
        body = await asyncio.to_thread(readyz, url)
        if body.get("timeline") == expected:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"/readyz: {body}")


async def write(ada: Person, grace: Person, *contents: str) -> None:
    for content in contents:
        await ada.write_to(grace, content)


@pytest.mark.timeout(300)
async def test_a_client_of_before_the_restore_keeps_nothing_that_is_gone_and_misses_nothing(
    deployment: Deployment, operator: Operator
) -> None:
    deployment.expected_faults = (OLDER,)
    server = await deployment.start()
    ada, grace = deployment.people(server, 2)
    tab = await grace.tab()
    await write(ada, grace, "kept 1", "kept 2", "kept 3")
    await tab.until_shows(messages=3)
    await operator.run(operator.backup)

    first = tab.messages[0]["id"]
    await write(ada, grace, "lost 1", "lost 2", "lost 3")
    await grace.call("DELETE", f"notifications/{first}", 204)
    await tab.until_shows(messages=5)
    assert await asyncio.to_thread(server.stop) == 0
    await tab.until_closed()

    restore, last_step = operator.restore.rsplit("python manage.py", 1)
    assert last_step.split() == ["after_restore"]
    await operator.run(restore)
    await asyncio.to_thread(server.start)
    # More than were lost: the revisions that the client remembers have been given out again.
    new = [f"new {number}" for number in range(6)]
    await write(ada, grace, *new)
    # Negative control: without the last step nothing makes the client read its list again.
    with pytest.raises(AssertionError, match=r"is shown|the badge is wrong"):
        await (await tab.reopen()).until_consistent()
    assert tab.inbox.resets == 0
    connected = await grace.tab()
    if deployment.with_redis:
        await until_timeline(server.url, "older")
        assert OLDER in server.log.read_text()

    printed = await operator.run(f"python manage.py{last_step}")
    assert "inboxes got a new epoch" in printed
    assert "all consistent" in printed
    await tab.reopen()
    await tab.until_consistent()
    assert [item["description"].split(": ")[-1] for item in tab.messages] == [
        *("kept 1", "kept 2", "kept 3"),
        *new,
    ]
    assert tab.inbox.resets == 1
    await connected.until(lambda tab: tab.inbox.resets == 1, what="reset", seconds=60)
    await connected.until_consistent()
    await until_timeline(server.url, None)
    await deployment.check_inboxes()
