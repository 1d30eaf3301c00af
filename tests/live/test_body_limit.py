"""A request body that is too large is answered with 413 before it is stored, whatever the address and the server."""

import asyncio
import os
from pathlib import Path

import pytest

from .conftest import Deployment
from .servers import Server

MEGABYTE = 1024 * 1024
PATHS = ("/api/v1/session", "/nowhere", "/healthz", "/admin/login/")


@pytest.fixture(params=["serve", "wsgi"])  # Daphne stores a body before it calls the application
async def server(request: pytest.FixtureRequest, deployment: Deployment) -> Server:
    return await deployment.start(request.param)


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


async def test_a_chunked_body_is_refused_at_the_limit(deployment: Deployment) -> None:
    """(Under WSGI Django reads no body without a Content-Length.)"""
    server = await deployment.start()
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
    status, spooled = await ask(server, "/nowhere", "Transfer-Encoding: chunked", chunk, 40)
    # A client that goes on sending may find the connection reset before it has read the answer.
    assert status in (413, 0)
    assert spooled <= 4 * MEGABYTE


async def status_of_the_sixth_failure(server: Server, *addresses: str) -> int:
    """Fail to sign in once for each of these `X-Forwarded-For`. Returns the last status."""
    status, body = 0, b'{"username": "no-such-user", "password": "x"}'
    for address in addresses:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (
            f"POST /api/v1/session HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
            f"X-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status = int((await reader.readline()).split()[1])
        writer.transport.abort()
    return status


async def test_without_a_setting_no_proxy_is_trusted(deployment: Deployment) -> None:
    """Also not one on the same host: it might pass on what its clients say of themselves."""
    server = await deployment.start()
    assert await status_of_the_sixth_failure(server, *(f"192.0.2.{number}" for number in range(6))) == 429


async def test_a_trusted_proxy_gives_the_addresses(deployment: Deployment) -> None:
    server = await deployment.start(FORWARDED_ALLOW_IPS="*")
    assert await status_of_the_sixth_failure(server, *(f"192.0.2.{number}" for number in range(6))) == 401
    # What is no address is counted as one, and is no error.
    assert await status_of_the_sixth_failure(server, *("x" * (50 + number) for number in range(6))) == 429
