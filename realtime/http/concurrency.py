"""How many requests run at once in a process: of more, each waits its turn. Django starts a thread for each that runs.

Addresses are served in rotation, and the clients of each: one that sends hundreds at once delays mostly its own.
Credentials are not yet verified here: an address can invent any number of them.

A request takes its place when its body is complete, and gives it back with the head of its answer: neither a slow
upload nor a slow reader holds one.
"""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from messaging.addresses import network_of
from realtime.conf import conf
from realtime.fair_queue import FairQueue

from . import refusals
from .refusals import BUSY, Refused

# A client has given up by then.
WAIT_SECONDS = 30.0
# Of one client, by its credentials or its address; of its reads and of its other requests each, so that a flood of
# sign-ins, which wait for the processor, leaves others at the same address a first page.
REQUESTS_PER_CLIENT = 8
# What docs/protocol.md allows at once.
WAITING_PER_CLIENT = 200

TOO_MANY = 429, "rate_limited", "Too many requests at once: wait for their answers."


class AsgiConcurrency:
    """ASGI middleware: at most REALTIME_MAX_REQUESTS run; 503 for what has waited too long, 429 beyond a full queue."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, FairQueue] = WeakKeyDictionary()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        places = self._places.get(loop)
        if places is None:
            places = self._places[loop] = FairQueue(conf.max_requests, REQUESTS_PER_CLIENT)
        address = network_of(str((scope.get("client") or ("",))[0]))
        client = _credentials(scope) or address, scope["method"] in ("GET", "HEAD")
        has_place = False

        async def receive_and_wait() -> Any:
            nonlocal has_place
            message = await receive()
            if message["type"] == "http.request" and not (has_place or message.get("more_body")):
                if not (places.take(client) or await _place_or_disconnect(places, client, address, receive)):
                    return {"type": "http.disconnect"}
                has_place = True
            return message

        def leave() -> None:
            nonlocal has_place
            if has_place:
                has_place = False
                places.give_back(client)

        async def send_and_leave(message: Any) -> None:
            leave()
            await send(message)

        try:
            await self.application(scope, receive_and_wait, send_and_leave)
        except Refused as refused:
            for message in refusals.messages(*refused.args):
                await send(message)
        finally:
            leave()


def _credentials(scope: Any) -> bytes | None:
    """Return what identifies a client before its authentication: its token, or its cookies."""
    headers = dict(scope["headers"])
    return headers.get(b"authorization") or headers.get(b"cookie")


async def _place_or_disconnect(places: FairQueue, client: Any, address: str, receive: Any) -> bool:
    """Wait for a place. Returns False if the client has left meanwhile. Raises Refused."""
    if places.waiting(client, address) >= WAITING_PER_CLIENT:
        raise Refused(*TOO_MANY)
    place, disconnect = asyncio.ensure_future(places.wait(client, address)), asyncio.ensure_future(receive())
    has_left = has_place = False
    try:
        await asyncio.wait({place, disconnect}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        has_left = disconnect.done()
        has_place = place.done() and not has_left
    finally:
        disconnect.cancel()
        # Also when this is cancelled in the moment in which it gets the place.
        if place.done() and not has_place:
            places.give_back(client)
        place.cancel()
    if not (has_left or has_place):
        raise Refused(*BUSY)
    return has_place
