"""HTTP by a WSGI server, sockets by another process: what one commits, the other tells."""

import asyncio

from .conftest import UNSWEPT, World


async def test_what_a_wsgi_server_commits_reaches_the_sockets_of_another_process(world: World) -> None:
    # With the layer in memory only the sweep can bring it.
    settings = UNSWEPT if world.with_redis else {}
    sockets, wsgi = await asyncio.gather(world.start(**settings), world.start("wsgi"))
    ada, grace = world.people(wsgi, 2)
    tab = await world.elsewhere(grace, sockets).tab()
    message = await ada.write_to(grace, "Number 0")
    for number in range(1, 5):
        await ada.write_to(grace, f"Number {number}")
    await tab.shows(unread=5)
    await grace.call("POST", f"messages/{message}/read")
    await tab.shows(unread=4)
    if world.with_redis:
        assert all(not frame["replayed"] for frame in tab.of_type("inbox"))
    await tab.agree()
    assert await grace.readyz("ok") == 200
    assert await asyncio.to_thread(wsgi.stop) == -15
