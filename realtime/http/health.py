"""The questions of a load balancer: does the process turn, and should it get new work? Neither may ever hang."""

import asyncio
import secrets
import threading
from concurrent.futures import Future

from channels.layers import BaseChannelLayer, get_channel_layer
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from realtime.channel_layer import GuardedRedisLayer
from realtime.delivery import drain

SECONDS = 1.0
# This process's own, and always the same one: layers keep every channel that they have heard of.
CHANNEL = f"readyz.{secrets.token_hex(8)}"


@transaction.non_atomic_requests
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer: the process turns."""
    return HttpResponse("ok", content_type="text/plain; charset=utf-8")


@transaction.non_atomic_requests
async def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 503 while draining or without a database. Without the layer pushes are late, but none is lost: 200."""
    database, layer = await asyncio.gather(database_answers(), layer_answers())
    if drain.draining:
        status = "draining"
    elif not database:
        status = "down"
    else:
        status = "ok" if layer else "degraded"
    answer = {
        "status": status,
        "database": "ok" if database else "down",
        "layer": "ok" if layer else "down",
    }
    return JsonResponse(answer, status=200 if status in ("ok", "degraded") else 503)


_asking: Future[bool] | None = None


async def database_answers() -> bool:
    """Ask the database in a thread that may hang: the questions that follow share it, and no exit waits for it."""
    global _asking  # noqa: PLW0603
    if _asking is None or _asking.done():
        _asking = Future()
        threading.Thread(target=_ask, args=(_asking,), name="readyz", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(_asking)), SECONDS)
    except TimeoutError:
        return False


def _ask(answer: Future[bool]) -> None:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        answer.set_result(True)
    except Exception:  # whatever is wrong, the database didn't answer
        answer.set_result(False)
    finally:
        connections.close_all()


async def layer_answers() -> bool:
    """Ask a layer that watches itself; through any other send a message to ourselves."""
    layer = get_channel_layer()
    if isinstance(layer, GuardedRedisLayer) and layer.started:
        return layer.healthy
    try:
        async with asyncio.timeout(SECONDS):
            return await _round_trip()
    except Exception:  # whatever is wrong, the layer didn't answer
        return False


async def _round_trip() -> bool:
    layer = get_channel_layer()
    if layer is None:
        return False
    nonce = secrets.token_hex(8)
    heard = asyncio.create_task(_hear(layer, nonce))
    try:
        while not heard.done():
            # Again and again: what is sent before Redis has confirmed the subscription is heard by nobody.
            await layer.send(CHANNEL, {"type": "readyz", "nonce": nonce})
            await asyncio.wait([heard], timeout=0.1)
        return await heard
    finally:
        heard.cancel()


async def _hear(layer: BaseChannelLayer, nonce: str) -> bool:
    while (await layer.receive(CHANNEL))["nonce"] != nonce:
        pass  # an earlier question's, which has given up waiting
    return True
