"""Which handshakes are accepted, and how others are refused. None leaves a fault in the log."""

import asyncio
import base64
import json

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .client import Person
from .conftest import Deployment


async def close_code(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 20)
    return socket.close_code


async def hello(socket: ClientConnection) -> dict[str, object]:
    frame: dict[str, object] = json.loads(await asyncio.wait_for(socket.recv(), 20))
    assert frame["type"] == "hello"
    await socket.close()
    return frame


async def refused(person: Person, path: str = "/ws/notifications/", **options: object) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await person.socket(path, **options)  # type: ignore[arg-type]
    return int(caught.value.response.status_code)


async def test_without_a_login_it_is_accepted_and_closed_with_4500(shared: Deployment) -> None:
    anonymous = shared.anonymous(shared.servers[0])
    for options in ({}, {"origin": None}, {"subprotocols": ()}):
        assert await close_code(await anonymous.socket(**options)) == 4500
    forged = shared.anonymous(shared.servers[0])
    forged.session = "0" * 32
    assert await close_code(await forged.socket()) == 4500


async def test_a_page_of_another_site_is_refused_with_403(shared: Deployment) -> None:
    server = shared.servers[0]
    ada = shared.person(server)
    for origin in (
        None,
        "null",
        "http://example.org",
        f"http://example.org/127.0.0.1:{server.port}",
        f"http://127.0.0.1:{server.port + 1}",
        "http://127.0.0.1",
        f"http://sub.127.0.0.1:{server.port}",
        f"http://127.0.0.1.example.org:{server.port}",
        f"http://127.0.0.1:{server.port}@example.org",
        f"http://ada:secret@127.0.0.1:{server.port}",
        f"http://127.0.0.1:{server.port}?x",
        f"http://127.0.0.1:{server.port}#x",
        f"file://127.0.0.1:{server.port}",
        f"127.0.0.1:{server.port}",
        "http://127.0.0.1:",
        f"https://127.0.0.1:{server.port}",
        f"http://localhost:{server.port}",
        f"http://127.0.0.1:{server.port}.example.org",
        f"http://ada@127.0.0.1:{server.port}",
        f"http://127.0.0.1:{server.port}/",
        "http://[::1",
        "http://127.0.0.1:99999999999",
        "://",
        "%00",
        "http://" + "a" * 4000,
    ):
        assert await refused(ada, origin=origin) == 403, origin
    assert await refused(ada, headers=[("Origin", server.url)]) == 403, "two of them"
    assert (await hello(await ada.socket()))["user"] == {"id": ada.id, "username": ada.username}


async def test_a_ticket_opens_one_socket_from_any_origin(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    anonymous = shared.anonymous(shared.servers[0])
    ticket = (await ada.call("POST", "ticket"))["ticket"]
    offered = ("notifications.v1", f"ticket.{ticket}")
    socket = await anonymous.socket(origin="https://elsewhere.example", subprotocols=offered)
    assert socket.subprotocol == "notifications.v1"
    assert (await hello(socket))["user"] == {"id": ada.id, "username": ada.username}
    assert await close_code(await anonymous.socket(subprotocols=offered)) == 4500
    # The cookie isn't read when a ticket is offered.
    assert await close_code(await ada.socket(subprotocols=offered)) == 4500
    again = (await ada.call("POST", "ticket"))["ticket"]
    two_origins = await anonymous.socket(
        headers=[("Origin", "http://example.org")], subprotocols=("notifications.v1", f"ticket.{again}")
    )
    assert (await hello(two_origins))["user"] == {"id": ada.id, "username": ada.username}
    for bad in ("ticket.", "ticket.x", "ticket." + "x" * 2000):
        assert await close_code(await anonymous.socket(subprotocols=("notifications.v1", bad))) == 4500


async def test_a_client_that_offers_no_subprotocol_is_served(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    socket = await ada.socket(subprotocols=())
    assert socket.subprotocol is None
    await hello(socket)
    socket = await ada.socket(subprotocols=("something.else", "notifications.v1"))
    assert socket.subprotocol == "notifications.v1"
    await hello(socket)


@pytest.mark.parametrize(
    "since",
    ["x", "-1", "1.0", "99", "9223372036854775808", "9" * 400, "", "%00", "%ff", "%C3%A9", "1&since=x"],
)
async def test_a_since_that_is_no_revision_is_answered_with_a_reset(shared: Deployment, since: str) -> None:
    ada = shared.person(shared.servers[0])
    socket = await ada.socket(f"/ws/notifications/?since={since}")
    frames = [json.loads(await asyncio.wait_for(socket.recv(), 20)) for _ in range(3)]
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "reset"]
    assert frames[0]["resumed"] is False
    assert frames[2]["reason"] == "unknown_revision"
    await socket.close()


async def test_another_epoch_is_answered_with_a_reset(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    for epoch in ("x", "", "%00", "%ff", "%F0%9F%94%94", "x" * 3000):
        socket = await ada.socket(f"/ws/notifications/?since=99&epoch={epoch}")
        frames = [json.loads(await asyncio.wait_for(socket.recv(), 20)) for _ in range(3)]
        assert (frames[2]["type"], frames[2]["reason"]) == ("reset", "new_epoch")
        await socket.close()


UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", base64.b64encode(b"0123456789abcdef").decode()),
    ("Sec-WebSocket-Version", "13"),
)


def request(path: str = "/ws/notifications/", *changes: tuple[str, str | None], method: str = "GET") -> bytes:
    """A handshake with some headers changed (or left out: None), as bytes of Latin-1."""
    headers = dict(UPGRADE) | {"Host": "127.0.0.1"} | dict(changes)
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


SESSION = "session00000000000000000000000009"
RAW = {
    "no key": request("/ws/notifications/", ("Sec-WebSocket-Key", None)),
    "a bad key": request("/ws/notifications/", ("Sec-WebSocket-Key", "x")),
    "an old version": request("/ws/notifications/", ("Sec-WebSocket-Version", "8")),
    "no version": request("/ws/notifications/", ("Sec-WebSocket-Version", None)),
    "no host": request("/ws/notifications/", ("Host", None)),
    "an empty host": request("/ws/notifications/", ("Host", "")),
    "a bad host": request(
        "/ws/notifications/", ("Host", "[::1"), ("Cookie", f"sessionid={SESSION}"), ("Origin", "x")
    ),
    "posted": request(method="POST"),
    "no upgrade": request("/ws/notifications/", ("Upgrade", None), ("Connection", None)),
    "an unknown upgrade": request("/ws/notifications/", ("Upgrade", "h2c")),
    "an unknown path": request("/ws/"),
    "another unknown path": request("/ws/notifications/7/"),
    "the root": request("/"),
    "an API path": request("/api/v1/notifications"),
    "dots": request("/ws/../ws/notifications/%2e%2e/"),
    "a broken escape": request("/ws/%zz/%"),
    "bytes in the path": request("/ws/\xff\xfe/"),
    "no UTF-8 in the path": request("/ws/%ff%fe/"),
    "bytes in the query": request("/ws/notifications/?since=\xff&epoch=\xfe"),
    "a long query": request("/ws/notifications/?since=" + "1" * 8000),
    "a cookie that is none": request("/ws/notifications/", ("Cookie", "=;;=;\xff=\xfe; sessionid")),
    "a cookie with NUL": request(
        "/ws/notifications/", ("Cookie", 'sessionid="\\000x"'), ("Origin", "http://127.0.0.1")
    ),
    "a cookie of bytes": request(
        "/ws/notifications/", ("Cookie", "sessionid=\xff\xfe"), ("Origin", "http://127.0.0.1")
    ),
    "a long cookie": request(
        "/ws/notifications/", ("Cookie", "sessionid=" + "x" * 8000), ("Origin", "http://127.0.0.1")
    ),
    "an origin of bytes": request(
        "/ws/notifications/", ("Cookie", f"sessionid={SESSION}"), ("Origin", "http://\xff")
    ),
    "a subprotocol of bytes": request("/ws/notifications/", ("Sec-WebSocket-Protocol", "ticket.\xff\xfe")),
    "an empty subprotocol": request("/ws/notifications/", ("Sec-WebSocket-Protocol", ", ,")),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("what", RAW)
async def test_a_malformed_handshake_is_answered_and_logs_nothing(shared: Deployment, what: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.servers[0].port)
    writer.write(RAW[what])
    answer = await asyncio.wait_for(reader.read(4096), 20)
    status = int(answer.split(b" ", 2)[1])
    assert status == 101 or 200 <= status < 500, answer
    while status == 101 and (4500).to_bytes(2, "big") not in answer:
        more = await asyncio.wait_for(reader.read(4096), 20)
        assert more, "closed without a close frame"
        answer += more
    writer.close()
    await writer.wait_closed()


async def test_a_socket_on_an_unknown_path_is_refused_with_403(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    for path in ("/", "/ws/", "/ws/notifications", "/ws/notifications/x/", "/api/v1/notifications"):
        assert await refused(ada, path) in (403, 404), path
