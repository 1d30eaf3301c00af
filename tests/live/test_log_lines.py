"""What a scanner sends leaves a line at INFO at most, and no line that it has made up."""

import asyncio
import contextlib

from .conftest import Deployment

FORGED = "2026-01-01%2000:00:00,000%20CRITICAL%20root:%20forged"
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n",
    b"GET /api/v1/presence HTTP/1.1\r\nHost: evil.example\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\x1b[2J\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
    b"DELETE /api/v1/notifications/1%0a" + FORGED.encode() + b" HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /%0d%0a" + FORGED.encode() + b" HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid=a%0ab\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    b"BREW / HTTP/1.1\r\nHost: localhost\r\n",
]


async def test_what_a_scanner_sends_is_no_error_and_forges_no_line(shared: Deployment) -> None:
    """The fixture fails if a server has logged an error or a traceback."""
    server = shared.servers[0]
    start = server.log.stat().st_size
    for request in REQUESTS:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request + b"Connection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b" 50" not in (await reader.read(4096))[:16]
        writer.close()
    logged = server.log.read_bytes()[start:].decode()
    assert "evil.example" in logged
    assert "forged" not in logged
    assert all(line.isprintable() and " INFO " in line for line in logged.splitlines()), logged
