"""A request body that is too large is answered with 413 before it is stored, whatever the address and the server."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Deployment, DeploymentFactory
from .servers import Server

MEGABYTE = 1024 * 1024
PATHS = ("/api/v1/session", "/nowhere", "/healthz", "/admin/login/")


@pytest.fixture(
    scope="module", params=["serve", "wsgi"]
)  # Daphne stores a body before it calls the application
def server(request: pytest.FixtureRequest, deployments: DeploymentFactory) -> Iterator[Server]:
    made = deployments.make()
    try:
        yield made.prepare(request.param).start()
        made.check_logs()
    finally:
        made.close()


def temporary_files(server: Server) -> int:
    """The size of the deleted files that the server holds open: spooled bodies."""
    sizes = [0]
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        try:
            if "(deleted)" in os.readlink(link):
                sizes.append(os.stat(link).st_size)
        except OSError:
            continue
    return sum(sizes)


async def ask(server: Server, path: str, head: str, body: bytes, count: int) -> tuple[int, int]:
    """POST `count` times `body`. Returns the status, 0 without an answer, and the largest size of spooled bodies."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: {server.address}\r\n{head}\r\n\r\n".encode())
    answer, spooled = asyncio.create_task(reader.readline()), 0
    try:
        for _ in range(count):
            writer.write(body)
            await writer.drain()
            spooled = max(spooled, await asyncio.to_thread(temporary_files, server))
    except OSError:
        pass
    try:
        async with asyncio.timeout(30):
            line = await answer
    except OSError:
        line = b""
    writer.transport.abort()
    return int(line.split()[1]) if line else 0, spooled


@pytest.mark.parametrize("path", PATHS)
async def test_an_announced_body_is_refused_at_once(server: Server, path: str) -> None:
    head = f"Content-Type: application/json\r\nContent-Length: {100 * MEGABYTE}"
    status, spooled = await ask(server, path, head, b"x" * MEGABYTE, 1)
    assert (status, spooled) == (413, 0)


async def test_a_chunked_body_is_refused_at_the_limit(shared: Deployment) -> None:
    """(Under WSGI Django reads no body without a Content-Length.)"""
    server = shared.servers[0]
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
    status, spooled = await ask(server, "/nowhere", "Transfer-Encoding: chunked", chunk, 40)
    # A client that goes on sending may find the connection reset before it has read the answer.
    assert status in (413, 0)
    assert spooled <= 4 * MEGABYTE
