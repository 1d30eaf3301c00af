"""Doorbell under Daphne: everything but the gentle drain."""

import asyncio

import pytest

from .conftest import NO_SWEEP, Deployment
from .test_commands import answer, send_invalid_utf8, send_text
from .test_handshake import close_code, refused


async def test_daphne_serves_the_whole_path(deployment: Deployment) -> None:
    server = await deployment.start("daphne", **NO_SWEEP)
    ada, grace, linus = deployment.people(server, 3)
    one, other, sender = await grace.tab(), await grace.tab(), await ada.tab()
    message = await ada.write_to(grace, "Hello, Daphne!")
    for tab in (one, other):
        await tab.until_shows(messages=1, unread=1)
        assert not any(frame["replayed"] for frame in tab.of_type("inbox"))
    await grace.call("POST", f"messages/{message}/read")
    for tab in (one, other):
        await tab.until_shows(unread=0)
        await tab.until_consistent()
    await sender.until(
        lambda tab: [row for row in tab.inbox.items.values() if row["notification_type"] == "message_read"],
        what="the receipt",
    )
    await sender.until_shows(unread=0)
    await sender.until(lambda tab: tab.sees_online(grace), what="Grace online")

    await one.drop()
    await ada.write_to(grace, "While away")
    await one.reopen()
    await one.until_consistent()
    assert set(one.inbox.times_added.values()) == {1}

    assert (await answer(one, '{"type": "ping", "ref": "x"}'))["type"] == "pong"
    # 1009 is a code that Daphne can't send.
    for text in ("x" * 4097, "x" * 60_000):
        tab = await linus.tab()
        await send_text(tab, text)
        assert await tab.until_closed() == 4501
    tab = await linus.tab()
    await send_invalid_utf8(tab)
    assert await tab.until_closed() in (1006, 1007)
    assert await close_code(await deployment.anonymous(server).socket()) == 4500
    assert await refused(ada, origin="http://example.org") == 403
    assert await refused(ada, headers=[("Origin", server.url)]) in (400, 403), "two of them"
    assert await refused(ada, "/ws/nothing/") in (403, 404)

    await asyncio.to_thread(server.stop, 15)
    for tab in (one, other, sender):
        with pytest.raises(AssertionError, match="the socket ended"):
            await tab.until(lambda _: False)
