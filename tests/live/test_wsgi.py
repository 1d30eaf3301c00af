"""HTTP by a WSGI server, sockets by another process: what one commits, the other tells."""

import asyncio

from .conftest import World


async def test_what_a_wsgi_server_commits_reaches_the_sockets_of_another_process(world: World) -> None:
    sockets, wsgi = await asyncio.gather(world.start(), world.start("wsgi"))
    ada, grace = world.people(wsgi, 2)
    tab = await world.elsewhere(grace, sockets).tab()
    message = await ada.write_to(grace, "Number 0")
    for number in range(1, 5):
        await ada.write_to(grace, f"Number {number}")
    await tab.shows(unread=5, seconds=5)
    await grace.call("POST", f"messages/{message}/read")
    await tab.shows(unread=4, seconds=5)
    if world.with_redis:
        # By the push and not by the sweep, which comes every 15 s here.
        assert all(not frame["replayed"] for frame in tab.of_type("inbox"))
    await tab.agree()
    assert (await grace.http.get(f"{wsgi.url}/readyz")).status_code == 200
    assert await asyncio.to_thread(wsgi.stop) == -15
