"""Completes the OpenAPI document that ninja derives from the calls: summaries, error responses, security schemes, and
the forms that types declare of their data.

It leaves out the calls that are closed.
"""

import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from messaging import data_shapes

COOKIE, CSRF, BEARER = "SessionCookie", "CsrfToken", "ApiToken"
RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}


def security_schemes(cookie: str, csrf_header: str) -> dict[str, Any]:
    return {
        COOKIE: {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Django's session."},
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": csrf_header,
            "description": "`csrf_token` of `GET session`. Goes with the cookie on every call that isn't a GET.",
        },
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token: the admin or `manage.py create_api_token` makes them.",
        },
    }


def complete(
    document: dict[str, Any],
    cookie: str,
    csrf_header: str,
    *,
    closed: Collection[str],
    types: data_shapes.Declared,
) -> None:
    """Complete ninja's document in place, with the names of the session cookie and of the CSRF token's header.

    `closed`: the ids of the calls that are to be left out. `types`: those that declare a form of their data.
    """
    if closed:
        _leave_out(document, closed)
    schemas = document["components"]["schemas"]
    data_shapes.add(schemas, "Notification", "serialization", types)
    data_shapes.add(schemas, "NewNotification", "validation", types)
    document["components"]["securitySchemes"] = security_schemes(cookie, csrf_header)
    for calls in document["paths"].values():
        for method, call in calls.items():
            _complete_call(method, call)


def _leave_out(document: dict[str, Any], closed: Collection[str]) -> None:
    """Remove these calls, and the schemas to which only they refer."""
    for path, calls in list(document["paths"].items()):
        for method in [method for method, call in calls.items() if call["operationId"] in closed]:
            del calls[method]
        if not calls:
            del document["paths"][path]
    schemas = document["components"]["schemas"]
    while unused := schemas.keys() - _referred_to(document):
        for name in unused:
            del schemas[name]


def _referred_to(part: Any) -> set[str]:
    if isinstance(part, list):
        return set().union(*(_referred_to(inner) for inner in part))
    if not isinstance(part, dict):
        return set()
    here = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
    return here.union(*(_referred_to(inner) for inner in part.values()))


def _complete_call(method: str, call: dict[str, Any]) -> None:
    # Instead of the function's name: the docstring's first sentence.
    for parameter in call.get("parameters", ()):
        if parameter["in"] == "path":
            # ninja drops what is said of them in the annotation.
            parameter["description"] = f"The {parameter['name'].removesuffix('_id')}'s id."
    call["summary"] = re.split(r"(?<=\.)\s", call["description"], maxsplit=1)[0].replace("\n", " ")
    authenticated = "security" in call
    if authenticated:
        call["security"] = _security(method, publishing="publishing" in call["tags"])
    responses = call["responses"]
    # Any POST's body is read: Django looks for the CSRF token in a form.
    reads_body = method == "post" or "requestBody" in call
    for status in _common_errors(reads_body=reads_body, authenticated=authenticated) - responses.keys():
        responses[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    for status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} & responses.keys():
        responses[status]["headers"] = {"Retry-After": RETRY_AFTER}
    call["responses"] = {str(status): responses[status] for status in sorted(responses)}


def _security(method: str, *, publishing: bool) -> list[dict[str, list[str]]]:
    if publishing:
        return [{BEARER: []}]
    return [{BEARER: []}, {COOKIE: []} if method == "get" else {COOKIE: [], CSRF: []}]


def _common_errors(*, reads_body: bool, authenticated: bool) -> set[int]:
    """Return the error statuses that every call of this kind can answer. A call's own are declared there."""
    errors = {422, 500, 503}
    if reads_body:
        errors |= {400, 413}
    if authenticated:
        errors |= {401, 403, 429}
    return errors
