"""Backpressure for Daphne, whose `send` buffers without bound: wait until the transport has drained."""

import asyncio
from typing import Any

from realtime.delivery.client_socket import Send


def with_backpressure(send: Send) -> Send:
    """Return a `send` that waits, once the server's buffer is full, until the client has read what is in it.

    uvicorn's does so itself and is returned as it is. Daphne's is a `partial` that holds the socket's protocol, and so
    its Twisted transport, which calls a producer when to pause and when to resume.
    """
    protocol: Any = next(iter(getattr(send, "args", ())), None)
    transport: Any = getattr(protocol, "transport", None)
    if not hasattr(transport, "registerProducer"):
        return send
    producer = PushProducer()
    # The HTTP channel from which the socket was upgraded is still registered.
    transport.unregisterProducer()
    transport.registerProducer(producer, True)

    async def send_when_writable(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            await producer.writable.wait()
        await send(message)

    return send_when_writable


class PushProducer:
    """Twisted's IPushProducer: https://docs.twisted.org/en/stable/core/howto/producers.html"""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()

    def pauseProducing(self) -> None:  # noqa: N802
        self.writable.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.writable.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is lost: what waits in `send` must not wait any longer."""
        self.writable.set()
