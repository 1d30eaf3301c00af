"""docs/service.md as it stands: users who are made for another program, and its publishing, retries included."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from .conftest import Deployment
from .servers import ROOT

PAGE = (ROOT / "docs/service.md").read_text()
FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```python\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL))
[CURL] = re.findall(r"^curl (.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def curl(url: str, token: str) -> tuple[int, Any]:
    """Do what the page's curl command does, which isn't installed everywhere."""
    words = shlex.split(CURL.replace("\\\n", " ").replace("$DOORBELL_TOKEN", token))
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    [address] = [word for word in words if word.startswith("https://bell")]
    body = words[words.index("-d") + 1].encode()
    request = urllib.request.Request(address.replace("https://bell.example.com", url), body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return answer.status, json.load(answer)


def provision(deployment: Deployment, names: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", FILES["provision.py"]],
        cwd=ROOT,
        env=deployment.environment,
        input=names,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return dict(line.split() for line in done.stdout.splitlines())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_users_are_made_for_another_program_and_publishing_goes_on_when_the_service_is_back(
    deployment: Deployment, tmp_path: Path
) -> None:
    server = await deployment.start()
    tokens = await asyncio.to_thread(provision, deployment, "ada newcomer")
    assert tokens.keys() == {"ada", "newcomer"}
    someone = deployment.anonymous(server)
    known = await someone.call("GET", "session", headers=bearer(tokens["newcomer"]))
    assert known["user"]["username"] == "newcomer"
    # A second time: another token, and the first one has ended.
    again = await asyncio.to_thread(provision, deployment, "newcomer")
    await someone.call("GET", "session", 401, headers=bearer(tokens["newcomer"]))
    ticket = (await someone.call("POST", "ticket", headers=bearer(again["newcomer"])))["ticket"]
    async with await someone.socket(
        origin=None, subprotocols=("notifications.v1", f"ticket.{ticket}")
    ) as socket:
        assert json.loads(await socket.recv())["user"]["username"] == "newcomer"

    secret = (await deployment.manage("create_api_token", "shop")).strip()
    assert await asyncio.to_thread(curl, server.url, secret) == (
        202,
        {"created": 1, "duplicates": 0, "errors": []},
    )
    # The same order again, by the program in Python: it is repeated until the service is back, and makes nothing new.
    file = tmp_path / "publish.py"
    file.write_text(FILES["publish.py"])
    await asyncio.to_thread(server.kill)
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(file),
        env={"PATH": os.environ["PATH"], "DOORBELL_URL": server.url, "DOORBELL_TOKEN": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await asyncio.sleep(1)
        assert program.returncode is None
        await asyncio.to_thread(server.start)
        out, errors = await asyncio.wait_for(program.communicate(), 60)
    finally:
        if program.returncode is None:
            program.kill()
    assert out.decode().strip() == "{'created': 0, 'duplicates': 1, 'errors': []}", errors.decode()
    page = await someone.call("GET", "notifications", headers=bearer(tokens["ada"]))
    assert [row["title"] for row in page["items"]] == ["Order 7 is on its way"]
