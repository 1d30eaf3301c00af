"""Commands on the socket, and the answers to malformed ones."""

import asyncio
import contextlib
import json

from websockets.exceptions import ConnectionClosed

from .conftest import Deployment
from .tab import Tab
from .test_handshake import close_code


async def send_text(tab: Tab, text: str | bytes) -> None:
    # The server may end it in the middle.
    with contextlib.suppress(ConnectionClosed):
        await tab.websocket.send(text)


async def answer(tab: Tab, text: str) -> dict[str, object]:
    """Send this; returns the answers. (Heartbeats and presence may come at any time.)"""

    def answers(tab: Tab) -> list[dict[str, object]]:
        return [frame for frame in tab.frames if frame["type"] in ("error", "pong", "reset")]

    known = len(answers(tab))
    await send_text(tab, text)
    await tab.until(lambda tab: len(answers(tab)) > known, what=f"the answer to {text[:50]}")
    return answers(tab)[known]


async def test_a_bad_command_is_answered_and_the_socket_stays_open(shared: Deployment) -> None:
    tab = await shared.person(shared.servers[0]).tab()
    for text, code in (
        ("nope", "bad_json"),
        ("[" * 2000, "bad_json"),
        ("[]", "bad_request"),
        ('{"type": 1}', "bad_request"),
        ('{"type": "zzz", "ref": "r"}', "unknown_type"),
        ('{"type": "ping", "ref": 5}', "bad_request"),
        (json.dumps({"type": "ping", "ref": "x" * 65}), "bad_request"),
        ('{"type": "resume"}', "bad_request"),
        ('{"type": "resume", "since": 0, "more": 1}', "bad_request"),
    ):
        frame = await answer(tab, text)
        assert (frame["type"], frame["code"]) == ("error", code), text
    assert tab.of_type("error")[4]["ref"] == "r"
    assert (await answer(tab, '{"type": "ping", "ref": "é\\u0000"}'))["ref"] == "é\0"
    # The tenth invalid one.
    await send_text(tab, "nope")
    assert await tab.until_closed() == 4501


async def test_resume_brings_what_came_after_it(shared: Deployment) -> None:
    ada, grace = shared.people(shared.servers[0], 2)
    tab = await grace.tab()
    # Several messages may share a revision, but never with one that was delivered before they were sent.
    await ada.write_to(grace, "Number 0")
    await tab.until_shows(messages=1)
    since = (await tab.until_consistent()).revision
    later = [await ada.write_to(grace, f"Number {number}") for number in (1, 2)]
    await tab.until_shows(messages=3)
    await tab.until_consistent()
    known, synced = len(tab.frames), len(tab.of_type("synced"))
    await tab.send(type="resume", since=since, epoch=tab.inbox.epoch)
    await tab.until(lambda tab: len(tab.of_type("synced")) > synced, what="synced")
    again = [item["message_id"] for frame in tab.frames[known:] for item in frame.get("added", [])]
    assert again == later
    for bad in (99, "x", None, 1.5, 2**63):
        reset = await answer(tab, json.dumps({"type": "resume", "since": bad}))
        assert reset["reason"] == "unknown_revision"
    assert tab.inbox.resets == 5
    # That were six in a minute.
    assert (await answer(tab, '{"type": "resume", "since": 0}'))["code"] == "not_allowed"
    await tab.until_consistent()


async def test_a_frame_that_is_too_big_closes_with_1009(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    for text in ("x" * 4097, "é" * 2049, "x" * 1_000_000):
        tab = await ada.tab()
        await send_text(tab, text)
        assert await tab.until_closed() == 1009
    fits = json.dumps({"type": "ping", "ref": "x"})
    tab = await ada.tab()
    assert (await answer(tab, fits + " " * (4096 - len(fits))))["type"] == "pong"


async def test_a_binary_frame_closes_with_4501(shared: Deployment) -> None:
    tab = await shared.person(shared.servers[0]).tab()
    await send_text(tab, b'{"type": "ping", "ref": "x"}')
    assert await tab.until_closed() == 4501


async def send_invalid_utf8(tab: Tab) -> None:
    mask = b"\0\0\0\0"
    tab.websocket.transport.write(b"\x81" + bytes([0x80 | 2]) + mask + b"\xff\xfe")


async def test_text_that_is_not_utf8_closes_with_1007(shared: Deployment) -> None:
    tab = await shared.person(shared.servers[0]).tab()
    await send_invalid_utf8(tab)
    assert await tab.until_closed() == 1007


async def test_too_many_frames_close_with_4002(shared: Deployment) -> None:
    tab = await shared.person(shared.servers[0]).tab()
    for _ in range(100):
        await send_text(tab, '{"type": "ping", "ref": "x"}')
    assert await tab.until_closed() == 4002


async def test_signing_out_closes_this_logins_sockets_with_4503(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    tab, other = await ada.tab(), await ada.socket()
    await ada.call("DELETE", "session", 204)
    assert await tab.until_closed() == 4503
    while True:
        try:
            await asyncio.wait_for(other.recv(), 20)
        except Exception:
            break
    assert other.close_code == 4503
    assert await close_code(await ada.socket()) == 4500


async def test_the_socket_over_the_limit_closes_the_oldest_with_4502(shared: Deployment) -> None:
    ada = shared.person(shared.servers[0])
    oldest = await ada.tab()
    tabs = [await ada.tab() for _ in range(20)]
    assert await oldest.until_closed() == 4502
    assert all(tab.is_open for tab in tabs)
