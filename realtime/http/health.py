"""Liveness and readiness probes, /healthz and /readyz, for load balancers. Neither may ever hang."""

import asyncio
import secrets
from typing import Any

from channels.layers import BaseChannelLayer
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from realtime.channel_layer import guarded
from realtime.database import database
from realtime.default_layer import get_channel_layer
from realtime.delivery import drain
from realtime.timeline import timeline_watch

PROBE_SECONDS = 1.0
NOT_READY = {"draining", "down", "unmigrated"}
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
    """Readiness: 503 while draining, without a database or without its tables.

    200 where calls are only late: without the layer, or while all connections to the database are in use. Were a busy
    process taken out, the others would have its load, too.
    """
    answers, layer = await asyncio.gather(database.answers(), layer_answers())
    answer = await _database_state(answers)
    status = answer.pop("status")
    if drain.draining:
        status = "draining"
    elif status == "ok" and not layer:
        status = "degraded"
    answer = {"status": status, **answer, "layer": "ok" if layer else "down"}
    if timeline_watch.missing_since is not None:
        answer["timeline"] = "older"
    return JsonResponse(answer, status=503 if status in NOT_READY else 200)


async def _database_state(answers: bool) -> dict[str, Any]:
    missing = await database.missing_migrations() if answers else None
    if missing is None:
        return {"status": "down", "database": "down"}
    if missing:
        return {"status": "unmigrated", "database": "unmigrated", "missing": missing}
    pool = database.pool
    state = "busy" if pool is not None and pool.is_full else "ok"
    return {"status": state, "database": state}


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
