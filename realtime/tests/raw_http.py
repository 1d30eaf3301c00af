"""Bytes to a server of one application, on a real socket. Its fixtures are `port`, `protocols` and `pass_by`."""

import asyncio

from realtime.tests.client import TIMEOUT


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer(port, *parts, then=None):
    """Write these, and return what is received until the end of the connection. `then` is awaited in between."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    if then is not None:
        await then()
    async with asyncio.timeout(TIMEOUT):
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
