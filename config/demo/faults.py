"""What the demo page's fault panel does on the server. Only with DEMO, only signed in, and only to oneself."""

import functools
import json
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging import notifications, tokens
from messaging.api import errors, security
from messaging.exceptions import Invalid, MessagingError, NotJson
from messaging.notification_types import LEVELS
from realtime import protocol
from realtime.outbound import receivers
from realtime.presence import leases

View = Callable[[HttpRequest], HttpResponse]

MOST_RINGS = 500
RINGS_A_COMMIT = 10

_signed_in = security.SessionOrToken()


def demo_only(view: View) -> View:
    """Without DEMO this address doesn't exist, whoever asks and however. The view asks for the CSRF token itself."""

    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if not settings.DEMO:
            return errors.problem(404, "not_found", "There is nothing at this address.")
        return view(request)

    return csrf_exempt(transaction.non_atomic_requests(answer))


def fault(view: Callable[[security.SignedIn], HttpResponse]) -> View:
    """A POST by somebody who is signed in: by an API token, or by a session with its CSRF token."""

    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            _signed_in(request)
            security.require_own_origin(request)
            return view(cast("security.SignedIn", request))
        except MessagingError as error:
            return errors.HANDLERS[MessagingError](request, error)

    return demo_only(require_POST(answer))


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
    if type(count) is not int or not 1 <= count <= MOST_RINGS:
        raise Invalid(f"count: must be a whole number from 1 to {MOST_RINGS}.")
    a_commit = 1 if count <= RINGS_A_COMMIT else RINGS_A_COMMIT
    for start in range(0, count, a_commit):
        numbers = range(start + 1, min(start + a_commit, count) + 1)
        notifications.create(
            notifications.build(
                request.user,
                "announcement",
                f"Ring {number} of {count}",
                "Rung by the fault panel.",
                level=LEVELS[number % len(LEVELS)],
            )
            for number in numbers
        )
        if a_commit == 1:
            # Now, or the relay would gather them: a revision each, so that frames can go missing between them.
            notifications.assign_revisions([request.user.pk])
    return JsonResponse({"created": count}, status=202)


@fault
def lose_process(request: security.SignedIn) -> HttpResponse:
    """Make one's connections those of a server process that was killed: its lease has run out, nobody said goodbye."""
    ids = leases.orphan(request.user.pk)
    for connection_id in ids:
        receivers.close_connection(request.user.pk, str(connection_id), protocol.CloseCode.MAX_AGE)
    return JsonResponse({"connections": len(ids)}, status=202)


@fault
def sign_out(request: security.SignedIn) -> HttpResponse:
    """End the login that asks, as another window would: its sockets are closed with 4503."""
    token = getattr(request, "api_token", None)
    if token is None:
        logout(request)
    else:
        tokens.revoke(token)
    return HttpResponse(status=204)
