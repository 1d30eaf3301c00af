"""The demo page's fault panel, on the server: each fault needs DEMO and a signed-in user, and affects only that user.

The only code besides realtime/presence/leases.py that writes leases: to leave behind what a killed process does.
"""

import functools
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging import notifications, tokens
from messaging.api import errors, security
from messaging.exceptions import Invalid, MessagingError, NotJson
from messaging.notification_types import LEVELS
from realtime import protocol
from realtime.models import Connection, ServerProcess
from realtime.outbound import receivers

View = Callable[[HttpRequest], HttpResponse]

MAX_RINGS = 500
RINGS_PER_COMMIT = 10

_authenticate = security.SessionOrToken()


def demo_only(view: View) -> View:
    """Answer 404 to every request unless DEMO is set. The view checks the CSRF token itself."""

    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if not settings.DEMO:
            return errors.problem(404, "not_found", "There is nothing at this address.")
        return view(request)

    return csrf_exempt(transaction.non_atomic_requests(answer))


def fault(view: Callable[[security.SignedIn], HttpResponse]) -> View:
    """Accept only POST by a signed-in user: with an API token, or with a session and its CSRF token."""

    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            _authenticate(request)
            security.require_own_origin(request)
            return view(cast("security.SignedIn", request))
        except MessagingError as error:
            return answer_error(request, error)

    return demo_only(require_POST(answer))


def answer_error(request: HttpRequest, error: MessagingError) -> HttpResponse:
    """Answer as the API does: a Problem with its code."""
    return errors.HANDLERS[MessagingError](request, error)


def json_body(request: HttpRequest) -> dict[str, Any]:
    """Return the body, empty if it is no object. Raises NotJson."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise NotJson from None
    return body if isinstance(body, dict) else {}


@fault
def ring(request: security.SignedIn) -> HttpResponse:
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


@fault
def lose_process(request: security.SignedIn) -> HttpResponse:
    """Leave one's connections to a killed server process, and close their sockets so that the client reconnects."""
    ids = simulate_process_loss(request.user.pk)
    for connection_id in ids:
        receivers.close_connection(request.user.pk, str(connection_id), protocol.CloseCode.MAX_AGE)
    return JsonResponse({"connections": len(ids)}, status=202)


@fault
def sign_out(request: security.SignedIn) -> HttpResponse:
    """End the login of this request, as another window would: its sockets are closed with 4503."""
    token = getattr(request, "api_token", None)
    if token is None:
        logout(request)
    else:
        tokens.revoke(token)
    return HttpResponse(status=204)
