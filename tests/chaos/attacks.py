"""What one connection of an attacker does, once: `ATTACKS`. Each returns when it has been cut off or answered."""

import asyncio
import base64
import json
import os
from urllib.parse import urlencode

from tests.live.client import CSRF

from .attacker import Attack, Attacker

ATTACKS: dict[str, Attack] = {}
# Masked with zeros, which is a mask.
PING, PONG, EMPTY_CONTINUATION = (bytes([head, 0x80, 0, 0, 0, 0]) for head in (0x89, 0x8A, 0x00))
UNFINISHED_TEXT = bytes([0x01, 0x81, 0, 0, 0, 0]) + b"{"
DOCUMENTS = ("/api/v1/openapi.json", "/api/v1/asyncapi.json")
JSON = "Content-Type: application/json\r\n"
ANNOUNCED_BYTES = 1_500_000_000


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


def handshake(attacker: Attacker, session: str = "", query: str = "", ticket: str = "") -> bytes:
    protocols = "notifications.v1" + (f", ticket.{ticket}" if ticket else "")
    return (
        f"GET /ws/notifications/{query} HTTP/1.1\r\nHost: {attacker.host}\r\nOrigin: http://{attacker.host}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
        f"Sec-WebSocket-Protocol: {protocols}\r\nCookie: sessionid={session}\r\n\r\n"
    ).encode()


def signed_in(session: str) -> str:
    return f"Cookie: sessionid={session}; csrftoken={CSRF}\r\nX-CSRFToken: {CSRF}\r\n"


@attack
async def frames(attacker: Attacker, number: int) -> None:
    """Control frames of sockets that the server has closed with 4500, and of users'; a message that never ends."""
    sessions = attacker.given["sessions"]
    session = sessions[number % len(sessions)] if number % 2 else ""
    block = (PONG, EMPTY_CONTINUATION, PING)[number % 3] * 8000
    async with attacker.connection() as (reader, writer):
        writer.write(handshake(attacker, session))
        attacker.note(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        if number % 3 == 1:
            writer.write(UNFINISHED_TEXT)
        await attacker.pour(writer, block)


@attack
async def bodies(attacker: Attacker, number: int) -> None:
    """1.5 GB to known and unknown addresses, announced or chunked."""
    path = ("/api/v1/session", "/nowhere", "/api/v1/publish")[number % 3]
    chunked, block = number % 2 == 0, b"x" * 2**18
    head = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {ANNOUNCED_BYTES}"
    async with attacker.connection() as (reader, writer):
        writer.write(f"POST {path} HTTP/1.1\r\nHost: {attacker.host}\r\n{JSON}{head}\r\n\r\n".encode())
        answer = asyncio.create_task(reader.read(64))
        try:
            await attacker.pour(writer, b"40000\r\n" + block + b"\r\n" if chunked else block)
        finally:
            await asyncio.wait({answer}, timeout=1)
            if answer.done() and not answer.exception():
                attacker.note(answer.result())
            answer.cancel()


@attack
async def pipelined(attacker: Attacker, number: int) -> None:
    """Requests one behind the other, whose answers aren't read."""
    path = ("/healthz", *DOCUMENTS)[number % 3]
    async with attacker.connection() as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await attacker.pour(writer, f"GET {path} HTTP/1.1\r\nHost: {attacker.host}\r\n\r\n".encode() * 1000)


@attack
async def slow_readers(attacker: Attacker, number: int) -> None:
    """Twenty large answers that are hardly read: a byte now and then."""
    path = DOCUMENTS[number % 2]
    async with attacker.connection(receive_buffer=2048) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {attacker.host}\r\n\r\n".encode() * 20)
        while attacker.has_time:
            await asyncio.sleep(1)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            if not await reader.read(1):
                return
            writer.transport.pause_reading()  # type: ignore[attr-defined]


@attack
async def sign_ins(attacker: Attacker, number: int) -> None:
    """Wrong passwords of ever new names, and right ones of the same few people, by turns."""
    names = attacker.given["names"]
    known = number % 2
    name = names[number % len(names)] if known else f"nobody{os.urandom(6).hex()}"
    password = attacker.given["password"] if known else "wrong"
    body = json.dumps({"username": name, "password": password}).encode()
    await attacker.call("POST", "/api/v1/session", JSON, body)


@attack
async def admin_logins(attacker: Attacker, number: int) -> None:
    """Guesses of one person's password at the admin's form."""
    form = {"username": attacker.given["names"][0], "password": "wrong", "next": "/admin/"}
    body = urlencode({**form, "csrfmiddlewaretoken": CSRF}).encode()
    head = f"Content-Type: application/x-www-form-urlencoded\r\nCookie: csrftoken={CSRF}\r\n"
    await attacker.call("POST", "/admin/login/", head, body)


@attack
async def replays(attacker: Attacker, number: int) -> None:
    """Handshakes of one user that ask for everything, each of a new socket."""
    async with attacker.connection() as (reader, writer):
        writer.write(handshake(attacker, attacker.given["sessions"][0], "?since=0"))
        answer = await reader.readuntil(b"\r\n\r\n")
        tail = b""
        while b'"type":"synced"' not in tail and b'"type":"reset"' not in tail:
            data = await reader.read(2**18)
            attacker.received += len(data)
            if not data:
                attacker.answers["closed"] += 1
                return
            tail = (tail + data)[-400:]
        attacker.note(answer)


@attack
async def strangers(attacker: Attacker, number: int) -> None:
    """Handshakes with invalid cookies and tickets."""
    guess = base64.b32encode(os.urandom(20)).decode().lower()
    given = {"ticket": guess} if number % 2 else {"session": guess}
    async with attacker.connection() as (reader, writer):
        writer.write(handshake(attacker, **given))
        attacker.note(await reader.readuntil(b"\r\n\r\n"))
        await reader.read(64)


@attack
async def flooded_inbox(attacker: Attacker, number: int) -> None:
    """A token publishes to one user as much as it may; one connection is that user's page."""
    if number == 0:
        async with attacker.connection() as (reader, writer):
            writer.write(handshake(attacker, attacker.given["sessions"][0]))
            while data := await reader.read(2**18):
                attacker.received += len(data)
        return
    item = {"user": attacker.given["names"][0], "notification_type": "announcement"}
    item |= {"title": "\U0001f514" * 200, "description": "\U0001f514" * 500}
    body = json.dumps([item] * 500, ensure_ascii=False).encode()
    head = f"{JSON}Authorization: Bearer {attacker.given['token']}\r\n"
    await attacker.call("POST", "/api/v1/publish", head, body)


@attack
async def concurrent_calls(attacker: Attacker, number: int) -> None:
    """One user's calls, all at once: pages of their list, and marks of a thousand notifications by turns."""
    head = signed_in(attacker.given["sessions"][0])
    if number % 4:
        await attacker.call("GET", "/api/v1/notifications?limit=200", head)
        return
    what = "read" if number % 8 else "unread"
    body = json.dumps({"ids": attacker.given["ids"]}).encode()
    await attacker.call("POST", f"/api/v1/notifications/{what}", head + JSON, body)


@attack
async def documents(attacker: Attacker, number: int) -> None:
    """The API's documents, without a login."""
    await attacker.call("GET", DOCUMENTS[number % 2])


@attack
async def scanners(attacker: Attacker, number: int) -> None:
    """Foreign hosts, two hosts, forged lines in a path, TLS, and other protocols."""
    own, foreign = f"Host: {attacker.host}", f"Host: scan{number}.example"
    line = "%0a2026-01-01%2000:00:00,000%20CRITICAL%20root:%20forged"
    requests = (
        f"GET / HTTP/1.1\r\n{foreign}\r\n",
        f"GET /api/v1/presence HTTP/1.1\r\n{foreign}\r\n",
        f"GET / HTTP/1.1\r\n{own}\r\n{foreign}\r\n",
        f"DELETE /api/v1/notifications/1{line} HTTP/1.1\r\n{own}\r\n",
        f"POST /admin/login/ HTTP/1.1\r\n{own}\r\nContent-Length: 0\r\n",
        f"GET / HTTP/1.1\r\n{own}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    )
    async with attacker.connection() as (reader, writer):
        request = requests[number % len(requests)]
        writer.write(f"{request}Connection: close\r\n\r\n".encode("latin-1"))
        attacker.note(await reader.read(64))
