"""What a client may say, and what it hears when it says something else."""

import asyncio
import json

from .client import Tab
from .conftest import World
from .test_handshake import close_code


async def answer(tab: Tab, text: str) -> dict[str, object]:
    assert tab._socket is not None
    known = len(tab.frames)
    await tab._socket.send(text)
    await tab.until(lambda tab: len(tab.frames) > known, what=f"the answer to {text[:50]}")
    return tab.frames[known]


async def test_a_bad_command_is_answered_and_the_socket_stays_open(town: World) -> None:
    tab = await town.person(town.servers[0]).tab()
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
    assert tab._socket is not None
    await tab._socket.send("nope")
    assert await tab.closed() == 4501


async def test_resume_brings_what_came_after_it(town: World) -> None:
    ada, grace = town.people(town.servers[0], 2)
    tab = await grace.tab()
    for number in range(1, 4):
        # One after the other: written at once, they may share a revision.
        await ada.write_to(grace, f"Number {number}")
        await tab.shows(messages=number)
    await tab.agree()
    known = len(tab.frames)
    await tab.send(type="resume", since=1, epoch=tab.inbox.epoch)
    await tab.until(lambda tab: len(tab.frames) > known and tab.live)
    again = [item["title"] for frame in tab.frames[known:] for item in frame.get("added", [])]
    assert len(again) == 2
    for since in (99, "x", None, 1.5, 2**63):
        assert (await answer(tab, json.dumps({"type": "resume", "since": since})))[
            "reason"
        ] == "unknown_revision"
    assert tab.resets == 5
    # That were six in a minute.
    await tab.send(type="resume", since=0)
    await tab.until(lambda tab: tab.of_type("error"))
    assert tab.frames[-1]["code"] == "not_allowed"
    await tab.agree()


async def test_a_frame_that_is_too_big_closes_with_1009(town: World) -> None:
    ada = town.person(town.servers[0])
    for text in ("x" * 4097, "é" * 2049, "x" * 1_000_000):
        tab = await ada.tab()
        assert tab._socket is not None
        await tab._socket.send(text)
        assert await tab.closed() == 1009
    fits = json.dumps({"type": "ping", "ref": "x"})
    tab = await ada.tab()
    assert (await answer(tab, fits + " " * (4096 - len(fits))))["type"] == "pong"


async def test_a_binary_frame_closes_with_4501(town: World) -> None:
    tab = await town.person(town.servers[0]).tab()
    assert tab._socket is not None
    await tab._socket.send(b'{"type": "ping", "ref": "x"}')
    assert await tab.closed() == 4501


async def send_invalid_utf8(tab: Tab) -> None:
    assert tab._socket is not None
    mask = b"\0\0\0\0"
    tab._socket.transport.write(b"\x81" + bytes([0x80 | 2]) + mask + b"\xff\xfe")


async def test_text_that_is_no_text_closes_with_1007(town: World) -> None:
    tab = await town.person(town.servers[0]).tab()
    await send_invalid_utf8(tab)
    assert await tab.closed() == 1007


async def test_too_many_frames_close_with_4002(town: World) -> None:
    tab = await town.person(town.servers[0]).tab()
    for _ in range(100):
        await tab.send(type="ping", ref="x")
    assert await tab.closed() == 4002


async def test_signing_out_closes_this_logins_sockets_with_4503(town: World) -> None:
    ada = town.person(town.servers[0])
    tab, other = await ada.tab(), await ada.socket()
    await ada.call("DELETE", "session", 204)
    assert await tab.closed() == 4503
    while True:
        try:
            await asyncio.wait_for(other.recv(), 20)
        except Exception:
            break
    assert other.close_code == 4503
    assert await close_code(await ada.socket()) == 4500


async def test_the_socket_over_the_limit_closes_the_oldest_with_4502(town: World) -> None:
    ada = town.person(town.servers[0])
    oldest = await ada.tab()
    tabs = [await ada.tab() for _ in range(20)]
    assert await oldest.closed() == 4502
    assert all(tab.is_open for tab in tabs)
