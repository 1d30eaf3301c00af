"""How requests are read and responses written: strict JSON and closed queries, for any call of the API."""

import functools
import json
from collections.abc import Callable
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from pydantic_core import to_json

from messaging.exceptions import Invalid


class StrictParser(Parser):
    """JSON as RFC 8259 has it: no NaN, no Infinity."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class PydanticRenderer(BaseRenderer):
    """Writes JSON as the socket does, so that a row looks the same on both."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return to_json(data)


def closed_query(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse unknown query parameters, which ninja would ignore."""
    models = [model for model in view._ninja_operation.models if model.__ninja_param_source__ == "query"]  # type: ignore[attr-defined]
    known = {name for model in models for name in model.__ninja_flatten_map__}

    @functools.wraps(view)
    def checked(request: HttpRequest, *args: Any, **values: Any) -> Any:
        unknown = sorted(request.GET.keys() - known)
        if unknown:
            raise Invalid(f"There is no query parameter {unknown[0]!r}.")
        return view(request, *args, **values)

    return checked
