"""CORS for the API: pages of REALTIME_ORIGINS may call it, with cookies. Never `*`, and at no address but the API's.

django-cors-headers is a middleware with one list of origins and one pattern of addresses for a whole project: it would
have to be the project's own, set up for us. Both may answer: that middleware comes first, and sets the same headers.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from messaging import origins

METHODS = "GET, POST, PATCH, DELETE"
# What a page may read beside the body.
EXPOSED = "Retry-After, Allow, WWW-Authenticate, ETag, X-Request-ID"
MAX_AGE_SECONDS = 600
# The names of headers: those of the project's own login, for example. Whose origin is listed may send any.
HEADERS = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


def cross_origin(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer a view's preflights, and let pages of the listed origins read what it answers."""

    @functools.wraps(view)
    def respond(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if not origins.are_listed():
            return view(request, **arguments)
        is_allowed = origins.is_listed(request.headers.get("Origin", ""))
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = _preflight(request) if is_allowed and is_preflight else view(request, **arguments)
        if is_allowed:
            response["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response["Access-Control-Allow-Credentials"] = "true"
            if not is_preflight:
                response["Access-Control-Expose-Headers"] = EXPOSED
        patch_vary_headers(response, ["Origin"])
        return response

    return respond


def _preflight(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = METHODS
    asked = request.headers.get("Access-Control-Request-Headers", "")
    if HEADERS.fullmatch(asked):
        response["Access-Control-Allow-Headers"] = asked
    response["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
    patch_vary_headers(response, ["Access-Control-Request-Method", "Access-Control-Request-Headers"])
    return response
