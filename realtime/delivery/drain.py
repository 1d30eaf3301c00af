"""Graceful drain: close a server's sockets spread over time, so that their clients don't all reconnect at once.

And what answers the HTTP requests that take too long for it.
"""

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from typing import Any

from realtime.background import spawn
from realtime.protocol import CloseCode

from .client_socket import ClientSocket
from .hub import Hub

STEP_SECONDS = 0.1
# A few sockets are not worth the whole time.
MIN_PER_SECOND = 20
# Of the sockets in one step, also after a step that came late.
MAX_SHARE = 0.1
# How much longer the sockets get that are being caught up.
REPLAY_SECONDS = 2.0

# True once this process has been asked to stop: /readyz answers 503 and handshakes are refused. Set by `serve`.
draining = False
# For each HTTP request that runs, what answers it in the application's place. Filled by `AsgiGivingUp`.
running_requests: set[Callable[[], Coroutine[Any, Any, None]]] = set()


def give_up_requests() -> None:
    for give_up in running_requests:
        spawn(give_up())


async def close_sockets(hub: Hub, seconds: float) -> None:
    """Close every socket with 1012 within `seconds`, those that are being caught up last."""
    loop = asyncio.get_running_loop()
    count = len(_open(hub))
    seconds = min(seconds, count / MIN_PER_SECOND)
    end = loop.time() + seconds
    most = math.ceil(count * max(MAX_SHARE, STEP_SECONDS / max(seconds, STEP_SECONDS)))
    while sockets := _open(hub):
        left = end - loop.time()
        share = math.ceil(len(sockets) * STEP_SECONDS / max(left, STEP_SECONDS))
        ready = (
            sockets if left < -REPLAY_SECONDS else [socket for socket in sockets if not socket.is_catching_up]
        )
        for socket in random.sample(ready, min(share, most, len(ready))):
            socket.close(CloseCode.SERVICE_RESTART, "the server restarts")
        await asyncio.sleep(STEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311


def _open(hub: Hub) -> list[ClientSocket]:
    return [socket for user in hub.users.values() for socket in user.sockets if not socket.is_closing]
