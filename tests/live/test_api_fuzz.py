"""schemathesis, with all its checks, against a real server: it answers only what openapi.json describes.

A few examples of each call here, always the same ones. `make fuzz` tries FUZZ_EXAMPLES of each, others every time; what
it finds can be repeated with the seed that it prints. What the document can't say stands in schemathesis.toml.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from .client import CSRF, Person
from .conftest import Deployment, DeploymentFactory
from .servers import ROOT, Server

# A warning of schemathesis: every answer of some call was 401 or 403.
REFUSED = "Authentication failed"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "")


def schemathesis(location: str | Path, server: Server, *options: str) -> tuple[int, str]:
    """Run it to its end; returns its exit code and what it printed."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *(f"--config-file={ROOT / 'schemathesis.toml'}", "run", str(location), f"--url={server.url}"),
        *("--no-color", "--continue-on-failure", "--request-timeout=60", *options),
    ]
    done = subprocess.run(
        command,
        # It leaves its own files there.
        cwd=server.log.parent,
        env={**os.environ, "NO_PROXY": "*"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def fuzz(server: Server, *options: str, examples: int, phases: str) -> str:
    """Run it, and fail if it finds anything. Returns what it printed."""
    extent = (
        (f"--max-examples={EXAMPLES}",)
        if EXAMPLES
        else (f"--max-examples={examples}", f"--phases={phases}", "--generation-deterministic")
    )
    code, printed = schemathesis(f"{server.url}/api/v1/openapi.json", server, *extent, *options)
    print(printed[printed.rfind(" SUMMARY ") :])
    assert code == 0, printed
    return printed


def calls(printed: str) -> int:
    found = re.search(r"(\d+) generated", printed)
    assert found, printed
    return int(found[1])


@pytest.fixture(scope="module")
def shared(deployments: DeploymentFactory) -> Iterator[Deployment]:
    made = deployments.make()
    try:
        # Without the limit, or most calls would be answered 429. (Sign-ins have theirs all the same.)
        server = made.prepare(API_RATE_LIMIT="False").start()
        yield made
        assert server.stop() in (0, -15)
        made.check_logs()
    finally:
        made.close()


@pytest.fixture
async def ada(shared: Deployment) -> AsyncIterator[Person]:
    """A user with messages to read and notifications to mark."""
    server = shared.servers[0]
    ada, grace = shared.people(server, 2)
    for number in range(3):
        await grace.write_to(ada, f"Number {number}")
    yield ada
    await shared.finish()


@pytest.mark.timeout(1_800)
async def test_with_a_users_token_that_may_publish(shared: Deployment, ada: Person) -> None:
    secret = (await shared.manage("create_api_token", "fuzz", "--user", ada.username, "--publish")).strip()
    options = [
        f"--header=Authorization: Bearer {secret}",
        # They would end the token with which the other calls are made.
        "--exclude-operation-id=sign_out",
        "--exclude-operation-id=sign_out_everywhere",
    ]
    printed = await asyncio.to_thread(
        fuzz, shared.servers[0], *options, examples=5, phases="coverage,fuzzing,stateful"
    )
    assert REFUSED not in printed, "some call never got past the door"
    assert calls(printed) > 300


@pytest.mark.timeout(1_800)
async def test_with_a_browsers_session(shared: Deployment, ada: Person) -> None:
    options = [
        f"--header=Cookie: sessionid={ada.session}; csrftoken={CSRF}",
        f"--header=X-CSRFToken: {CSRF}",
        # Signing out would end the login with which the other calls are made, and a session can't publish.
        "--exclude-operation-id=sign_out",
        "--exclude-operation-id=sign_out_everywhere",
        "--exclude-operation-id=publish",
        # It would send `Authorization` headers beside the cookie, and take the answer for theirs.
        "--generation-with-security-parameters=false",
    ]
    printed = await asyncio.to_thread(fuzz, shared.servers[0], *options, examples=5, phases="fuzzing")
    assert REFUSED not in printed, "some call never got past the door"
    assert calls(printed) > 40


@pytest.mark.timeout(1_800)
async def test_with_a_programs_token_that_may_only_publish(shared: Deployment) -> None:
    secret = (await shared.manage("create_api_token", "fuzz")).strip()
    header = f"--header=Authorization: Bearer {secret}"
    printed = await asyncio.to_thread(fuzz, shared.servers[0], header, examples=5, phases="fuzzing")
    assert calls(printed) > 40


@pytest.mark.timeout(1_800)
async def test_without_a_login(shared: Deployment) -> None:
    printed = await asyncio.to_thread(fuzz, shared.servers[0], examples=5, phases="fuzzing")
    assert calls(printed) > 40


async def test_a_status_that_the_document_leaves_out_is_found(shared: Deployment, tmp_path: Path) -> None:
    """Negative control: without it the other tests would prove nothing."""
    server = shared.servers[0]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        document = (await http.get(f"{server.url}/api/v1/openapi.json")).json()
    del document["paths"]["/api/v1/presence"]["get"]["responses"]["401"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    code, printed = await asyncio.to_thread(
        schemathesis, path, server, "--include-operation-id=list_presence", "--phases=coverage"
    )
    assert code == 1
    assert "Undocumented status code: 1" in printed
