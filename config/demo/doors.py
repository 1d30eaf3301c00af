"""Which requests the demo's views answer: those of the demo page, and those of a signed-in user."""

import functools
import json
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging.api import errors, security
from messaging.exceptions import NotJson

View = Callable[..., HttpResponse]

_authenticate = security.SessionOrToken()


def demo_only(view: View) -> View:
    """Answer 404 to every request unless DEMO is set, and errors as Problems. The view checks the CSRF token itself."""

    @functools.wraps(view)
    def answer(request: HttpRequest, **places: Any) -> HttpResponse:
        if not settings.DEMO:
            return errors.problem(404, "not_found", "There is nothing at this address.")
        try:
            return view(request, **places)
        except Exception as error:
            return answer_error(request, error)

    return csrf_exempt(transaction.non_atomic_requests(answer))


def signed_in(view: View) -> View:
    """Accept only POST by a signed-in user: with an API token, or with a session and its CSRF token."""

    @functools.wraps(view)
    def answer(request: HttpRequest, **places: Any) -> HttpResponse:
        _authenticate(request)
        security.require_own_origin(request)
        return view(cast("security.SignedIn", request), **places)

    return demo_only(require_POST(answer))


def answer_error(request: HttpRequest, error: Exception) -> HttpResponse:
    """Answer any error as the API does: a Problem with its code."""
    handler = next(errors.HANDLERS[kind] for kind in type(error).__mro__ if kind in errors.HANDLERS)
    return handler(request, error)


def json_body(request: HttpRequest) -> dict[str, Any]:
    """Return the body, empty if it is no object. Raises NotJson."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise NotJson from None
    return body if isinstance(body, dict) else {}
