"""Malformed bytes, to both servers. Each is answered or dropped in time, and no other client is affected.

FUZZ_CASES=5000 makes the last test a measurement; FUZZ_SEED repeats a run.
"""

import asyncio
import base64
import contextlib
import json
import os
import random
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from .client import Person
from .conftest import Deployment, DeploymentFactory
from .servers import Server
from .tab import Tab

MEGABYTE = 1024 * 1024
CASES, SEED = int(os.environ.get("FUZZ_CASES", "75")), int(os.environ.get("FUZZ_SEED", "20261124"))
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = base64.b64encode(b"0123456789abcdef").decode()
# No answer, but the end of the connection: for a socket, what a close without a frame looks like.
DROPPED = 1006


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A frame of RFC 6455, section 5.2. A mask of zeros leaves the payload as it is."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head += bytes([mask | size])
    elif size < 65536:
        head += bytes([mask | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", size)
    return head + (bytes(4) if masked else b"") + payload


def announced(opcode: int, size: int) -> bytes:
    """The head of a frame that says that so much follows."""
    return bytes([0x80 | opcode, 0x80 | 127]) + struct.pack("!Q", size) + bytes(4)


class Raw:
    """A client that writes arbitrary bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server: Server) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", server.port, limit=4 * MEGABYTE))

    async def upgrade(self, person: Person, extra: bytes = b"") -> None:
        """Shake hands, with `extra` right behind the request."""
        self.writer.write(handshake(person) + extra)
        answer = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        assert answer.startswith(b"HTTP/1.1 101"), answer

    async def send(self, data: bytes) -> None:
        # The server may end it in the middle.
        with contextlib.suppress(OSError):
            self.writer.write(data)
            await self.writer.drain()

    async def next(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload. Raises if there is none."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            [size] = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            [size] = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def receive(self) -> dict[str, Any]:
        """The next text."""
        async with asyncio.timeout(60):
            while True:
                opcode, payload = await self.next()
                if opcode == TEXT:
                    received: dict[str, Any] = json.loads(payload)
                    return received

    async def errors_and_end(self) -> tuple[list[str], int]:
        """Read on to the end. Returns the codes of the errors, and that of the close frame (1005: it has none)."""
        codes: list[str] = []
        async with asyncio.timeout(60):
            try:
                while True:
                    opcode, payload = await self.next()
                    if opcode == CLOSE:
                        return codes, struct.unpack("!H", payload[:2])[0] if payload else 1005
                    if opcode == TEXT and (received := json.loads(payload))["type"] == "error":
                        codes.append(received["code"])
            except (asyncio.IncompleteReadError, OSError):
                return codes, DROPPED

    async def answer(self) -> int:
        """The status of an HTTP answer; 0 if the connection ends without one."""
        async with asyncio.timeout(60):
            with contextlib.suppress(OSError):
                line = await self.reader.readline()
                await self.reader.read()
                return int(line.split(b" ")[1]) if line else 0
        return 0

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class Place:
    """A server, and a canary: a client at it that must not be affected."""

    server: Server
    person: Person
    canary: Tab
    raws: list[Raw] = field(default_factory=list)

    async def raw(self) -> Raw:
        self.raws.append(await Raw.connect(self.server))
        return self.raws[-1]


def handshake(person: Person, *changes: tuple[str, str]) -> bytes:
    headers = [
        ("Host", person.base_url.removeprefix("http://")),
        *(("Upgrade", "websocket"), ("Connection", "Upgrade")),
        *(("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")),
        *(("Origin", person.base_url), ("Cookie", f"sessionid={person.session}")),
        *changes,
    ]
    lines = ["GET /ws/notifications/ HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.fixture(scope="module")
def served(deployments: DeploymentFactory) -> Iterator[dict[str, Deployment]]:
    """One deployment for each kind of server."""
    made = {
        kind: deployments.make(
            REALTIME_MAX_CONNECTIONS_PER_USER="100000", REALTIME_HANDSHAKES_PER_SECOND="1000"
        )
        for kind in ("serve", "daphne")
    }
    try:
        for kind, deployment in made.items():
            deployment.prepare(kind).start()
        yield made
    finally:
        for deployment in made.values():
            deployment.close()


@pytest.fixture(params=["serve", "daphne"])
async def place(request: pytest.FixtureRequest, served: dict[str, Deployment]) -> AsyncIterator[Place]:
    deployment = served[request.param]
    server = deployment.servers[0]
    # Always the same people: there are more cases than people.
    ada, grace = (deployment.account(server, number) for number in range(2))
    canary = await grace.tab()
    made = Place(server, ada, canary)
    yield made
    for raw in made.raws:
        await raw.close()
    # The canary is connected and receives notifications, and the server logged no fault.
    known = len(canary.messages)
    await ada.write_to(grace)
    await canary.until_shows(messages=known + 1)
    assert server.running
    await deployment.finish()


# Whatever follows it, this ends the connection from the client's side, and the server answers with the same code.
CLOSE_FRAME = frame(CLOSE, struct.pack("!H", 1000))
OVERSIZE = {"serve": {1009}, "daphne": {4501}}
# Daphne's library drops a client that breaks the protocol.
BROKEN, NOT_UTF8 = {"serve": {1002}, "daphne": {DROPPED}}, {"serve": {1007}, "daphne": {DROPPED}}

# What is sent, and the codes with which it may end. The ones where a server has a way of its own name it.
ENDING: dict[str, tuple[bytes, set[int] | dict[str, set[int]]]] = {
    "a reserved bit": (frame(TEXT, b"{}", rsv=4), BROKEN),
    "all reserved bits": (frame(TEXT, b"{}", rsv=7), BROKEN),
    "a reserved opcode": (frame(3, b"{}"), BROKEN),
    "a reserved control opcode": (frame(11, b""), BROKEN),
    "no mask": (frame(TEXT, b"{}", masked=False), BROKEN),
    "a fragmented ping": (frame(PING, b"x", fin=False), BROKEN),
    "a fragmented close": (frame(CLOSE, b"", fin=False), BROKEN),
    "a ping over 125 bytes": (frame(PING, b"x" * 126), BROKEN),
    "a close over 125 bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), BROKEN),
    "a continuation of nothing": (frame(0, b"{}"), BROKEN),
    "a text within a fragmented text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), BROKEN),
    "a close of one byte": (frame(CLOSE, b"\x03"), BROKEN),
    "a close with code 0": (frame(CLOSE, b"\x00\x00"), BROKEN),
    "a close with code 999": (frame(CLOSE, struct.pack("!H", 999)), BROKEN),
    "a close with code 1005": (frame(CLOSE, struct.pack("!H", 1005)), BROKEN),
    "a close with code 65535": (frame(CLOSE, b"\xff\xff"), {1000, 1002, DROPPED}),
    "a close whose reason is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xfe"), {1002, 1007, DROPPED}),
    "a text that is no UTF-8": (frame(TEXT, b"\xff\xfe"), NOT_UTF8),
    "a fragmented text that is no UTF-8": (
        frame(TEXT, b"\xce", fin=False) + frame(0, b"\xba\xe1", fin=False) + frame(0, b"\xff"),
        NOT_UTF8,
    ),
    "half a letter": (frame(TEXT, b'"\xc3'), NOT_UTF8),
    "invalid UTF-8 and a close frame in one": (frame(TEXT, b"\xff") + CLOSE_FRAME, {1000, 1007, DROPPED}),
    "binary": (frame(BINARY, b"{}"), {4501}),
    "an empty binary": (frame(BINARY), {4501}),
    "a fragmented binary": (frame(BINARY, b"{", fin=False) + frame(0, b"}"), {4501}),
    "4097 bytes": (frame(TEXT, b"x" * 4097), OVERSIZE),
    "64 KiB": (frame(TEXT, b"x" * 65536), OVERSIZE),
    "64 KiB in fragments": (
        frame(TEXT, b"x", fin=False) + frame(0, b"x" * 1024, fin=False) * 64 + frame(0),
        OVERSIZE,
    ),
    "a frame that says 2^62": (announced(TEXT, 2**62), {"serve": {1009}, "daphne": {1009, DROPPED}}),
    "a frame that says 2^63": (announced(TEXT, 2**63), {1002, 1009, DROPPED}),
    "8 MiB": (frame(TEXT, b"x" * 8 * MEGABYTE), {"serve": {1009, DROPPED}, "daphne": {1009, DROPPED}}),
    "a hundred frames": (frame(TEXT, b'{"type":"ping","ref":"x"}') * 100, {4002}),
    "10,000 frames": (frame(TEXT, b"{}") * 10_000, {4002, 4501, DROPPED}),
    "10,000 empty texts": (frame(TEXT) * 10_000, {4002, 4501, DROPPED}),
    "100,000 empty continuations": (
        frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 100_000 + CLOSE_FRAME,
        {1000, 1002, 1009, 4002, DROPPED},
    ),
    "100,000 pings": (frame(PING) * 100_000 + CLOSE_FRAME, {1000, 4002, DROPPED}),
    "garbage": (random.Random(1).randbytes(4096), {1002, 1007, 1009, 4501, DROPPED}),
    "an HTTP request": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", BROKEN),
}


@pytest.mark.parametrize("what", ENDING)
async def test_what_the_protocol_forbids_ends_the_socket_with_its_code(place: Place, what: str) -> None:
    sent, expected = ENDING[what]
    codes = expected[place.server.kind] if isinstance(expected, dict) else expected
    raw = await place.raw()
    await raw.upgrade(place.person)
    sending = asyncio.create_task(raw.send(sent))
    _, code = await raw.errors_and_end()
    sending.cancel()
    assert code in codes, f"{what}: {code}"


@pytest.mark.parametrize("place", ["serve"], indirect=True)  # Daphne bounds no control frames
async def test_a_client_that_goes_on_after_its_close_frame_is_cut_off(place: Place) -> None:
    """Control frames are no messages, and no rate limit of messages counts them."""
    raw = await place.raw()
    stranger = handshake(place.person).replace(b"Cookie: ", b"X-Cookie: ")
    raw.writer.write(stranger)
    assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    opcode, payload = await raw.next()
    assert (opcode, struct.unpack("!H", payload[:2])[0]) == (CLOSE, 4500)
    pongs = frame(PONG) * 10_000
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(60):
            while True:
                raw.writer.write(pongs)
                await raw.writer.drain()


HUGE = b'{"type":"resume","since":' + b"9" * 4000 + b"}"
ANSWERED: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", "bad_json"),
    "a NUL": (b"\0", "bad_json"),
    "an array 2,000 deep": (b"[" * 2000 + b"]" * 2000, "bad_json"),
    "an object 600 deep": (b'{"a":' * 600 + b"1" + b"}" * 600, "bad_request"),
    "an integer of 4,000 digits": (HUGE, None),
    "a number beyond all": (b'{"type":"resume","since":1e999}', None),
    "NaN": (b'{"type":"ping","ref":NaN}', "bad_json"),
    "a type that is an array": (b'{"type":["ping"]}', "bad_request"),
    "a type that is null": (b'{"type":null}', "bad_request"),
    "the same key twice": (b'{"type":"zzz","type":"ping","ref":"x"}', None),
    "half a surrogate pair": (b'{"type":"ping","ref":"\\ud800"}', "bad_json"),
    "a prototype": (b'{"type":"ping","ref":"x","__proto__":{"x":1}}', "bad_request"),
    "a method's name": (b'{"type":"__init__"}', "unknown_type"),
    "a channel layer's message": (b'{"type":"websocket.close"}', "unknown_type"),
}


@pytest.mark.parametrize("what", ANSWERED)
async def test_a_bad_command_is_answered_and_its_socket_goes_on(place: Place, what: str) -> None:
    sent, expected = ANSWERED[what]
    raw = await place.raw()
    await raw.upgrade(place.person)
    while (await raw.receive())["type"] != "synced":
        pass
    await raw.send(frame(TEXT, sent) + frame(TEXT, b'{"type":"ping","ref":"and then?"}'))
    answers = [await raw.receive()]
    while answers[-1].get("ref") != "and then?":
        answers.append(await raw.receive())
    assert [received["code"] for received in answers if received["type"] == "error"] == (
        [expected] if expected else []
    )
    await raw.send(CLOSE_FRAME)
    assert await raw.errors_and_end() == ([], 1000)


async def test_bytes_right_behind_the_handshake_affect_no_other_client(place: Place) -> None:
    for extra in (b"\xff" * 500, frame(TEXT, b"{}"), b"GET / HTTP/1.1\r\n\r\n"):
        raw = await place.raw()
        await raw.upgrade(place.person, extra)
        await raw.send(CLOSE_FRAME)
        _, code = await raw.errors_and_end()
        assert code in (1000, 1002, 1007, DROPPED)


LARGE = {
    "a header of 9 kB": [("X-Large", "x" * 9_000)],
    "a header of 100 kB": [("X-Large", "x" * 100_000)],
    "1,000 headers": [(f"X-{number}", "x") for number in range(1000)],
}


@pytest.mark.parametrize("what", LARGE)
async def test_a_handshake_that_is_too_large_is_answered(place: Place, what: str) -> None:
    raw = await place.raw()
    await raw.send(handshake(place.person, *LARGE[what]))
    line = b""
    # What the server doesn't read any more may become a reset, which takes the answer along.
    with contextlib.suppress(ConnectionError):
        line = await asyncio.wait_for(raw.reader.readline(), 60)
    # Daphne drops it, or takes more.
    assert not line or int(line.split(b" ")[1]) in (101, 400, 431), line


async def test_a_head_without_end_is_ended(place: Place) -> None:
    raw = await place.raw()
    await raw.send(b"GET / HTTP/1.1\r\nX-Endless: ")
    for _ in range(64):
        if raw.writer.transport.is_closing():
            break
        await raw.send(b"x" * 64 * 1024)
    assert await raw.answer() in (0, 400, 431)


def nonsense(chance: random.Random) -> Any:
    """Some JSON."""
    kinds: list[Any] = [None, True, -1, 2**70, 1.5, "", "é\0", "x" * 100, [], {}, "ping", "resume", "unread"]
    if chance.random() < 0.7:
        return chance.choice(kinds)
    names = ["type", "ref", "since", "epoch", "x"]
    return {name: nonsense(chance) for name in chance.sample(names, chance.randint(0, 4))}


def mutilated(chance: random.Random) -> bytes:
    """A few frames, most of them good or nearly so."""
    sent = b""
    for _ in range(chance.randint(1, 6)):
        body = json.dumps(nonsense(chance)).encode()
        made = frame(
            chance.choice([TEXT] * 6 + [BINARY, CLOSE, PING, PONG, 0, 3, 15]),
            body if chance.random() < 0.8 else chance.randbytes(chance.choice([0, 1, 2, 126, 5000, 70000])),
            fin=chance.random() < 0.9,
            rsv=chance.choice([0] * 20 + [1, 2, 4]),
            masked=chance.random() < 0.95,
        )
        if chance.random() < 0.2:
            at = chance.randrange(len(made))
            made = made[:at] + chance.randbytes(chance.randint(0, 3)) + made[at + chance.randint(0, 2) :]
        sent += made
    return sent


async def test_after_random_bytes_the_server_runs_and_frees_its_memory(place: Place) -> None:
    print(f"seed {SEED}, {CASES} cases")
    chance, slots = random.Random(SEED), asyncio.Semaphore(20)

    async def case(sent: bytes, *, cut: bool) -> int:
        async with slots:
            raw = await place.raw()
            await raw.upgrade(place.person)
            await raw.send(sent if cut else sent + CLOSE_FRAME)
            if not cut:
                # A frame whose head the random bytes formed may swallow the close frame: then the client aborts.
                with contextlib.suppress(OSError):
                    raw.writer.write_eof()
            code = DROPPED if cut else (await raw.errors_and_end())[1]
            await raw.close()
            return code

    async def run(count: int) -> list[int]:
        return await asyncio.gather(
            *(case(mutilated(chance), cut=chance.random() < 0.1) for _ in range(count))
        )

    await run(CASES // 5)
    before = place.server.rss()
    codes = await run(CASES - CASES // 5)
    grown = (place.server.rss() - before) / MEGABYTE
    print(
        f"{place.server.kind}: {grown:+.1f} MB; ended with {sorted((c, codes.count(c)) for c in set(codes))}"
    )
    assert grown < 20
    # Or the client's own, if what it happened to send is one.
    assert set(codes) <= {1000, 1002, 1005, 1007, 1009, DROPPED, *range(3000, 5000)}
