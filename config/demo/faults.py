"""The demo page's fault panel, on the server: each fault needs DEMO and a signed-in user, and affects only that user.

The only code besides realtime/presence/leases.py that writes leases: to leave behind what a killed process does.
"""

import uuid
from datetime import timedelta

from django.contrib.auth import logout
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpResponse, JsonResponse

from messaging import notifications, tokens
from messaging.api.security import SignedIn
from messaging.exceptions import Invalid
from messaging.notification_types import LEVELS
from realtime import protocol
from realtime.models import Connection, ServerProcess
from realtime.outbound import receivers

from .doors import json_body, signed_in

MAX_RINGS = 500
RINGS_PER_COMMIT = 10


@signed_in
def ring(request: SignedIn) -> HttpResponse:
    """Notify oneself `count` times, 1 to 500, in small commits, as a busy day would."""
    count = json_body(request).get("count")
    if type(count) is not int or not 1 <= count <= MAX_RINGS:
        raise Invalid(f"count: must be a whole number from 1 to {MAX_RINGS}.")
    per_commit = 1 if count <= RINGS_PER_COMMIT else RINGS_PER_COMMIT
    for start in range(0, count, per_commit):
        numbers = range(start + 1, min(start + per_commit, count) + 1)
        notifications.create(
            notifications.build(
                request.user,
                "announcement",
                f"Ring {number} of {count}",
                "Sent by the fault panel.",
                level=LEVELS[number % len(LEVELS)],
            )
            for number in numbers
        )
        if per_commit == 1:
            # At once, or the relay would batch them: with a revision each, single frames can be lost.
            notifications.assign_revisions([request.user.pk])
    return JsonResponse({"created": count}, status=202)


def simulate_process_loss(user_id: int) -> list[uuid.UUID]:
    """Move a user's connections to a process whose lease has run out, as if killed. Returns their ids."""
    with transaction.atomic():
        connections = Connection.objects.filter(user_id=user_id)
        ids = list(connections.values_list("id", flat=True))
        lapsed = Now() - timedelta(seconds=1)
        killed = ServerProcess.objects.create(name="(killed)", lease_until=lapsed)
        connections.filter(id__in=ids).update(process=killed)
    return ids


@signed_in
def lose_process(request: SignedIn) -> HttpResponse:
    """Leave one's connections to a killed server process, and close their sockets so that the client reconnects."""
    ids = simulate_process_loss(request.user.pk)
    for connection_id in ids:
        receivers.close_connection(request.user.pk, str(connection_id), protocol.CloseCode.MAX_AGE)
    return JsonResponse({"connections": len(ids)}, status=202)


@signed_in
def sign_out(request: SignedIn) -> HttpResponse:
    """End the login of this request, as another window would: its sockets are closed with 4503."""
    token = getattr(request, "api_token", None)
    if token is None:
        logout(request)
    else:
        tokens.revoke(token)
    return HttpResponse(status=204)
