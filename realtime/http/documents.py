"""Documents that are the same for every client: made once a process, and answered with an ETag.

Making one takes 30 ms of the processor, and needs no login.
"""

import functools
import hashlib
from collections.abc import Callable, Hashable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from pydantic_core import to_json

# What a document depends on, its host for example, may be the client's choice: so many are kept.
VARIANTS = 8


class Document:
    """Called with a request, and with what `make` depends on, it answers with what `make` returns, as JSON."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._made = functools.lru_cache(VARIANTS)(self._make_now)

    def __call__(self, request: HttpRequest, *depends_on: Hashable) -> HttpResponseBase:
        body, etag = self._made(*depends_on)
        response = HttpResponse(body, content_type="application/json")
        # To be cached, and revalidated before each use.
        response["Cache-Control"] = "no-cache"
        response["ETag"] = etag
        return get_conditional_response(request, etag=etag, response=response) or response

    def _make_now(self, *depends_on: Hashable) -> tuple[bytes, str]:
        body = to_json(self._make(*depends_on))
        return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
