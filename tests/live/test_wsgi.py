"""HTTP by a WSGI server, sockets by another process: what one commits, the other delivers."""

import asyncio

from .conftest import NO_SWEEP, Deployment


async def test_what_a_wsgi_server_commits_reaches_the_sockets_of_another_process(
    deployment: Deployment,
) -> None:
    # With the layer in memory only the sweep can bring it.
    settings = NO_SWEEP if deployment.with_redis else {}
    sockets, wsgi = await asyncio.gather(deployment.start(**settings), deployment.start("wsgi"))
    ada, grace = deployment.people(wsgi, 2)
    tab = await deployment.at_server(grace, sockets).tab()
    message = await ada.write_to(grace, "Number 0")
    for number in range(1, 5):
        await ada.write_to(grace, f"Number {number}")
    await tab.until_shows(unread=5)
    await grace.call("POST", f"messages/{message}/read")
    await tab.until_shows(unread=4)
    if deployment.with_redis:
        assert all(not frame["replayed"] for frame in tab.of_type("inbox"))
    await tab.until_consistent()
    assert await grace.readyz("ok") == 200
    assert await asyncio.to_thread(wsgi.stop) == -15
