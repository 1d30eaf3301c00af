"""How every error of the API is answered: the status of each code, the exception handlers, the shape of a Problem."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from pydantic_core import to_json

from messaging import schemas, users
from messaging.exceptions import (
    Invalid,
    MessagingError,
    NotFound,
    NothingPublished,
    NotJson,
    NotSignedIn,
    TooOften,
    UnknownUser,
)
from messaging.orm import pools, tables
from messaging.orm.retry import is_conflict, is_dangling, is_row_gone

logger = logging.getLogger(__name__)

# Where a place begins: the calls' names for a whole body or query, and the forms of `requests.OneOrMany`. They mean
# nothing to a client. A field may have the same name.
WHOLE, FORMS = {"data", "query"}, {"one", "several", "many"}

# The HTTP status of each error code. A code without one is a bug of the server's: 500.
STATUS = {
    "not_json": 400,
    "not_signed_in": 401,
    "bad_credentials": 401,
    "csrf_failed": 403,
    "not_allowed": 403,
    "not_found": 404,
    "unknown_user": 404,
    "method_not_allowed": 405,
    "sessions_in_cookies": 409,
    "too_large": 413,
    "invalid": 422,
    "ambiguous_name": 422,
    "not_searchable": 422,
    "invalid_notification": 422,
    "unknown_type": 422,
    "self_block": 422,
    "self_message": 422,
    "nothing_published": 422,
    "rate_limited": 429,
    "too_many_attempts": 429,
}
UNREADABLE = (SuspiciousOperation, MultiPartParserError, RawPostDataException, UnreadablePostError, HttpError)


def answers(success: dict[int, Any], *problems: int) -> dict[int, Any]:
    """Declare a call's responses: its success and its own problems. Those common to all calls are in openapi.py."""
    return success | dict.fromkeys(problems, schemas.Problem)


def problem(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail, "code": code}, status=status)


def add_handlers(api: NinjaAPI) -> None:
    """Let an API answer every exception as a Problem: JSON with a `code`."""
    for exception, handler in HANDLERS.items():
        api.add_exception_handler(exception, handler)


def _refused(request: HttpRequest, error: MessagingError) -> HttpResponse:
    if error.code not in STATUS:
        return _failed(request, error)
    response = problem(STATUS[error.code], error.code, str(error))
    if isinstance(error, TooOften):
        response["Retry-After"] = str(error.retry_after)
    if response.status_code == 401:
        # Required by HTTP. No browser opens a dialog for this scheme.
        response["WWW-Authenticate"] = "Bearer"
    if isinstance(error, NothingPublished):
        named = schemas.NothingPublished(code=error.code, detail=str(error), errors=error.errors)
        response.content = to_json(named)
    return response


def _unreadable(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, NotJson())


def _too_large(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(413, "too_large", "The body is too large.")


def _missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, NotFound())


def _malformed(request: HttpRequest, invalid: ValidationError) -> HttpResponse:
    if any((error["loc"], error["type"]) == (("body", "data"), "missing") for error in invalid.errors):
        return _refused(request, NotJson())
    return _refused(request, Invalid("; ".join(_sentences(_without_absent(invalid.errors)[:3]))))


def _sentences(errors: Iterable[dict[str, Any]]) -> Iterable[str]:
    for error in errors:
        place = [str(step) for step in error["loc"][1:]]
        for known in (WHOLE, FORMS):
            if place and place[0] in known:
                del place[0]
        yield f"{'.'.join(place) or error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"


def _without_absent(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a parameter that may be absent pydantic says, too, that it isn't null, and names the other type as a step."""
    optional = {error["loc"][:-1] for error in errors if error["type"] == "none_required"}
    return [
        error | {"loc": error["loc"][:-1]} if error["loc"][:-1] in optional else error
        for error in errors
        if error["type"] != "none_required"
    ]


def _failed(request: HttpRequest, exception: Exception) -> HttpResponse:
    logger.error("%s %.200r failed", request.method, request.path, exc_info=exception)
    return problem(500, "server_error", "Something went wrong on the server. It has been logged.")


def _overtaken(request: HttpRequest, error: Exception) -> HttpResponse:
    """A row that the call had read was deleted before it was written: the caller themselves, a receiver, a message."""
    if tables.is_missing_table(error):
        return _unmigrated(request, error)
    if _is_deleted(request):
        return _refused(request, NotSignedIn())
    if is_dangling(error):
        return _refused(request, UnknownUser())
    if is_row_gone(error):
        return _refused(request, NotFound())
    return _failed(request, error)


def _is_deleted(request: HttpRequest) -> bool:
    pk = getattr(getattr(request, "user", None), "pk", None)
    return pk is not None and not users.everybody().filter(pk=pk).exists()


def _undone(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database has ended the transaction: in conflict with others, or because it is unavailable."""
    if tables.is_missing_table(error):
        return _unmigrated(request, error)
    if pools.is_exhausted(connection, error):
        return _exhausted(request, error)
    if not is_conflict(error):
        return _unavailable(request, error)
    logger.warning(
        "transaction conflict; %s %.200r answered 503, to be tried again: %r",
        request.method,
        request.path,
        error,
    )
    return _retry_later("busy", "Others are changing the same rows. Try again in a moment.")


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database is unavailable. If it failed during a COMMIT, it is unknown whether the call took effect."""
    logger.warning("database unavailable; %s %.200r answered 503: %r", request.method, request.path, error)
    return _retry_later("unavailable", "The database doesn't answer. Try again in a moment.")


def _exhausted(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database answers; other calls hold all connections that this process may have."""
    logger.warning(
        "database pool full; %s %.200r answered 503: %r. Slow queries or locks hold the connections: see "
        "pg_stat_activity, and only then DATABASE_POOL_SIZE.",
        request.method,
        request.path,
        error,
    )
    return _retry_later(
        "busy", "All connections of the server to its database are in use. Try again in a moment."
    )


def _unmigrated(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database answers, and lacks a table or a column. (It is in the log which one.)"""
    logger.error(
        "database not migrated; %s %.200r answered 503: %s. Run `manage.py migrate`.",
        request.method,
        request.path,
        error,
    )
    return _retry_later("unmigrated", tables.WHAT_TO_DO)


def _retry_later(code: str, detail: str) -> HttpResponse:
    response = problem(503, code, detail)
    response["Retry-After"] = "1"
    return response


HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Exception: _failed,
    **dict.fromkeys((DatabaseError, ObjectDoesNotExist), _overtaken),
    **dict.fromkeys((OperationalError, InterfaceError), _undone),
    MessagingError: _refused,
    ValidationError: _malformed,
    Http404: _missing,
    **dict.fromkeys(UNREADABLE, _unreadable),
    RequestDataTooBig: _too_large,
}
