"""Liveness and readiness probes, /healthz and /readyz, for load balancers. Neither may ever hang."""

import asyncio
import secrets
import threading
from concurrent.futures import Future

from channels.layers import BaseChannelLayer
from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from realtime.channel_layer import guarded
from realtime.default_layer import get_channel_layer
from realtime.delivery import drain

PROBE_SECONDS = 1.0
# One channel per process, not one per probe: a layer keeps every channel that it has received from.
PROBE_CHANNEL = f"readyz.{secrets.token_hex(8)}"


@login_not_required
@transaction.non_atomic_requests
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: the process answers."""
    return HttpResponse("ok", content_type="text/plain; charset=utf-8")


@login_not_required
@transaction.non_atomic_requests
async def readyz(request: HttpRequest) -> JsonResponse:
    """Readiness: 503 while draining or without a database. Without the layer pushes are only late, so that is 200."""
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


_running_probe: Future[bool] | None = None


async def database_answers() -> bool:
    """Query the database in a thread that may hang: later probes share it, and the exit doesn't wait for it."""
    global _running_probe  # noqa: PLW0603
    if _running_probe is None or _running_probe.done():
        _running_probe = Future()
        probe = threading.Thread(target=_probe_database, args=(_running_probe,), name="readyz", daemon=True)
        try:
            probe.start()
        except RuntimeError:  # too many threads: the next probe tries again
            _running_probe.set_result(False)
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(_running_probe)), PROBE_SECONDS)
    except TimeoutError:
        return False


def _probe_database(result: Future[bool]) -> None:
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        result.set_result(True)
    except Exception:  # of any kind: the database didn't answer
        result.set_result(False)
    finally:
        connections.close_all()


async def layer_answers() -> bool:
    """Ask a layer that monitors itself; through any other send a message to this process."""
    try:
        layer = guarded(get_channel_layer())
        if layer is not None and layer.started:
            return layer.healthy
        async with asyncio.timeout(PROBE_SECONDS):
            return await _round_trip()
    except Exception:  # of any kind: the layer didn't answer
        return False


async def _round_trip() -> bool:
    layer = get_channel_layer()
    if layer is None:
        return False
    nonce = secrets.token_hex(8)
    received = asyncio.create_task(_receive(layer, nonce))
    try:
        while not received.done():
            # Repeatedly: what is sent before Redis has confirmed the subscription has no receiver.
            await layer.send(PROBE_CHANNEL, {"type": "readyz", "nonce": nonce})
            await asyncio.wait([received], timeout=0.1)
        return await received
    finally:
        received.cancel()


async def _receive(layer: BaseChannelLayer, nonce: str) -> bool:
    while (await layer.receive(PROBE_CHANNEL))["nonce"] != nonce:
        pass  # from an earlier probe that has timed out
    return True
