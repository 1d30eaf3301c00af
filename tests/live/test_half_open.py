"""A client that disappears: no FIN, no close frame, no pong."""

import asyncio
import signal
import sys
import time

from .conftest import Deployment

PING_SECONDS = 2
CLIENT = """
import asyncio, sys
from websockets.asyncio.client import connect

async def main(url, session, origin):
    headers = [("Cookie", f"sessionid={session}")]
    async with connect(url, origin=origin, additional_headers=headers, ping_interval=None, proxy=None) as socket:
        print(await socket.recv(), flush=True)
        async for _ in socket:
            pass

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_client_that_is_stopped_is_found_by_the_ping_and_its_user_goes_offline(
    deployment: Deployment,
) -> None:
    server = await deployment.start(
        REALTIME_PING_SECONDS=str(PING_SECONDS), REALTIME_OFFLINE_GRACE_SECONDS="1"
    )
    ada, grace = deployment.people(server, 2)
    await ada.write_to(grace)
    url = server.url.replace("http", "ws", 1) + "/ws/notifications/"
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, url, ada.session, server.url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert client.stdout is not None
        assert b"hello" in await asyncio.wait_for(client.stdout.readline(), 60)
        await until_shown(grace, ada, is_online=True)

        client.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        await until_shown(grace, ada, is_online=False)
        print(f"offline {time.monotonic() - stopped:.1f} s after SIGSTOP, pinged every {PING_SECONDS} s")
        assert deployment.database.read("SELECT * FROM realtime_connection") == []
    finally:
        client.kill()
        await client.wait()


async def until_shown(watching, person, *, is_online):
    deadline = time.monotonic() + 90
    while (await watching.presence_of(person))["is_online"] != is_online:
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.2)
