"""Daphne's `send` takes whatever it is given into a buffer without bounds: here it learns to wait for the client."""

import asyncio
from typing import Any

from realtime.delivery.client_socket import Send


def paced(send: Send) -> Send:
    """Return a `send` that waits, once the server's buffer is full, until the client has taken what is in it.

    uvicorn's does so itself. Daphne's is a `partial` that holds the socket's protocol, and so its Twisted transport,
    which tells a producer when to pause and when to resume.
    """
    protocol: Any = next(iter(getattr(send, "args", ())), None)
    transport: Any = getattr(protocol, "transport", None)
    if not hasattr(transport, "registerProducer"):
        return send
    valve = Valve()
    # The HTTP channel from which the socket was upgraded still stands there.
    transport.unregisterProducer()
    transport.registerProducer(valve, True)

    async def send_when_open(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            await valve.open.wait()
        await send(message)

    return send_when_open


class Valve:
    """A push producer, in Twisted's terms: https://docs.twisted.org/en/stable/core/howto/producers.html"""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def pauseProducing(self) -> None:  # noqa: N802
        self.open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The client is gone."""
        self.open.set()
