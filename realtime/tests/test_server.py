"""The limits of `serve` on an HTTP request, on a real socket; what its sockets do is in tests/live."""

import asyncio
import gc
import resource
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import websockets

from realtime.server import http_protocol as limits
from realtime.server import server
from realtime.tests.client import TIMEOUT, eventually
from realtime.tests.raw_http import answer

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"


def test_a_request_has_ten_seconds_for_its_head_and_thirty_for_its_body():
    assert (limits.HEAD_SECONDS, limits.BODY_SECONDS) == (10, 30)


@pytest.mark.parametrize(
    "parts", [(), (b"\r\n",), (b"GE",), (HEAD,), (HEAD, b"X-Slow: "), (HEAD + b"\r\n" + HEAD,)]
)
async def test_a_head_that_never_ends_is_answered_with_408(port, protocols, pass_by, monkeypatch, parts):
    # Less than uvicorn's keep-alive timeout.
    monkeypatch.setattr(limits, "HEAD_SECONDS", 4)

    async def too_long():
        # Everything has been received, and every complete request answered.
        head = b"".join(parts).rpartition(b"\r\n\r\n")[2]
        await eventually(lambda: protocols and protocols[0]._head_bytes == len(head))
        cycle = protocols[0].cycle
        await eventually(lambda: cycle is None or cycle.response_complete)
        pass_by(limits.HEAD_SECONDS)

    answered = await answer(port, *parts, then=too_long)
    assert answered.split(b" ")[1] == (b"200" if HEAD + b"\r\n" in b"".join(parts) else b"408")
    assert answered.count(b"408 Request Timeout") == 1


async def test_a_body_that_never_ends_closes_the_connection(port, protocols, pass_by):
    async def too_long():
        await eventually(lambda: protocols and not protocols[0]._in_head)
        pass_by(limits.BODY_SECONDS)

    assert await answer(port, POST + b"ab", then=too_long) == b""


async def test_a_request_in_pieces_is_answered(port):
    answered = await answer(port, POST[:7], POST[7:30], POST[30:], b"a", b"bcd")
    assert answered.startswith(b"HTTP/1.1 200")


async def test_a_keep_alive_connection_has_no_timer_between_its_requests(port, protocols):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert protocols[0]._timer is None
    assert len(protocols) == 1
    writer.write(HEAD)
    await eventually(lambda: protocols[0]._timer is not None)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("proxies", "is_open"),
    [("", False), ("10.0.0.0/8", False), ("127.0.0.1", True), ("10.1.1.1,127.0.0.0/8", True)],
)
async def test_an_idle_connection_is_closed_by_the_proxy_first(
    port, protocols, config, pass_by, proxies, is_open
):
    """Closed here in the moment in which the proxy takes it for a request, it would be a 502."""
    config.forwarded_allow_ips = proxies
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    pass_by(10)
    if is_open:
        pass_by(600)
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        pass_by(limits.PROXY_IDLE_SECONDS)
    async with asyncio.timeout(TIMEOUT):
        assert await reader.read() == b""
    writer.close()


def test_free_memory_is_given_back_to_the_system():
    def megabytes():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2

    pieces = [bytes(2_000) for _ in range(60_000)]
    # What is above in the heap keeps all that is below from being given back by itself.
    pinned = bytes(2_000)
    del pieces
    before = megabytes()
    server.trim_memory()
    assert megabytes() < before - 60
    assert pinned


KEPT = """
import resource
from pathlib import Path
{set_up}
# The first that is freed raises glibc's limit for what it takes from the heap.
b"x" * 300_000
pieces = [b"x" * 300_000 for _ in range(200)]
# What is above in the heap keeps all that is below.
pinned = [b"x" * 5_000 for _ in range(1_000)]
del pieces
print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2)
"""


def test_large_texts_are_given_back_as_they_are_freed():
    def megabytes(set_up=""):
        code = KEPT.format(set_up=set_up)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stdout)

    set_up = "import os, django; django.setup()\nfrom realtime.server import server\n"
    limited = megabytes(f"{set_up}server.keep_little_memory()")
    assert megabytes(set_up) > limited + 40


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_closed_socket_leaves_no_reference_cycles(port, protocols, end):
    """The cycles of some thousands of sockets would be megabytes until the next collection."""
    gc.disable()
    try:
        socket = await websockets.connect(f"ws://127.0.0.1:{port}", compression=None)
        [made] = protocols[0].connections
        left = [weakref.ref(thing) for thing in (protocols.pop(), made, made.conn)]
        del made
        if end == "close":
            await socket.close()
        else:
            socket.transport.abort()
        await eventually(lambda: not any(reference() for reference in left))
    finally:
        gc.enable()


class Transport(asyncio.Transport):
    """Keeps what is written to it."""

    written, closed = b"", False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def test_a_head_over_64_kib_is_answered_with_431(protocol):
    transport, made = Transport(), protocol()
    made.connection_made(transport)
    made.data_received(HEAD + b"X-Large: ")
    made.data_received(b"x" * 65_000)
    await eventually(lambda: made._head_bytes > 65_000)
    assert not transport.is_closing()
    made.data_received(b"x" * 1000)
    await eventually(lambda: transport.closed)
    assert transport.written.startswith(b"HTTP/1.1 431")
    made.connection_lost(None)


async def test_a_body_does_not_count_as_head(protocol):
    transport, made = Transport(), protocol()
    made.connection_made(transport)
    made.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    made.data_received(b"x" * 70_000)
    assert not transport.is_closing()
    made.connection_lost(None)
