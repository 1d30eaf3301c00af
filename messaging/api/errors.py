"""What every API call shares: who is asking, and how a refusal looks. It knows no call in particular."""

import functools
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.middleware.csrf import CsrfViewMiddleware
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.security import APIKeyCookie, HttpBearer
from pydantic_core import to_json

from messaging import schemas, tokens
from messaging.exceptions import (
    CsrfFailed,
    Invalid,
    MessagingError,
    NotAllowed,
    NotFound,
    NothingPublished,
    NotJson,
    NotSignedIn,
    TooOften,
)
from messaging.models import ApiToken

from .throttles import api_calls

logger = logging.getLogger(__name__)

OUR_NAMES = {"data", "query", "one", "several", "many"}

# The status of each code that an error can have. A code that isn't here is a mistake of ours: 500.
STATUS = {
    "not_json": 400,
    "not_signed_in": 401,
    "bad_credentials": 401,
    "csrf_failed": 403,
    "not_allowed": 403,
    "not_found": 404,
    "unknown_user": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "invalid": 422,
    "invalid_notification": 422,
    "unknown_type": 422,
    "self_message": 422,
    "nothing_published": 422,
    "rate_limited": 429,
    "too_many_attempts": 429,
}
UNREADABLE = (SuspiciousOperation, MultiPartParserError, RawPostDataException, UnreadablePostError, HttpError)


class SignedIn(HttpRequest):
    """A request that Login has let pass."""

    user: User


def answers(success: dict[int, Any], *problems: int) -> dict[int, Any]:
    """Name a call's answers: its success, and its own problems. Those that any call can have are in openapi.py."""
    return success | dict.fromkeys(problems, schemas.Problem)


def problem(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail, "code": code}, status=status)


def _no_view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


class _CsrfCheck(CsrfViewMiddleware):
    """Django's own check, made by the call itself: it must come after the question who is asking."""

    def __init__(self) -> None:
        super().__init__(_no_view)

    def _reject(self, request: HttpRequest, reason: str) -> NoReturn:
        raise CsrfFailed(reason)

    def check(self, request: HttpRequest) -> None:
        self.process_request(request)
        self.process_view(request, _no_view, (), {})

    def check_origin(self, request: HttpRequest) -> None:
        if "Origin" in request.headers and not self._origin_verified(request):  # type: ignore[attr-defined]
            raise CsrfFailed("The request comes from another site.")


def require_csrf_token(request: HttpRequest) -> None:
    """Raise CsrfFailed unless the request is a read or carries the CSRF token."""
    _CsrfCheck().check(request)


def require_own_origin(request: HttpRequest) -> None:
    """Raise CsrfFailed if a browser says that another site makes this request."""
    _CsrfCheck().check_origin(request)


def require_json(request: HttpRequest) -> None:
    """Raise NotJson unless the body says it is JSON: a form on another site can't say so without asking first."""
    if request.content_type != "application/json":
        raise NotJson


class Login(APIKeyCookie):
    """A user's API token, or the login of Django's session: 401 without, then 429, then 403.

    403 means no CSRF token with a session, or an API token that isn't a user's.
    """

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        token = bearer(request)
        if token is not None and token.user is not None:
            request.user = token.user
        if token is None and not request.user.is_authenticated:
            raise NotSignedIn
        within_rate(f"token {token.pk}" if token and token.user is None else request.user.pk)
        if token is None:
            require_csrf_token(request)
        elif token.user is None:
            raise NotAllowed("This token isn't a user's.")
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        raise NotImplementedError


class Publisher(HttpBearer):
    """An API token with the right to publish: 401 without a token or a session, 403 without the right."""

    def __call__(self, request: HttpRequest) -> Any:
        token = bearer(request)
        if token is None and not request.user.is_authenticated:
            raise NotSignedIn
        if token is None or not token.can_publish:
            raise NotAllowed("Publishing needs an API token with the publish right.")
        within_rate(f"token {token.pk}")
        return token

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        raise NotImplementedError


def bearer(request: HttpRequest) -> ApiToken | None:
    """Return the API token that the request brings, None if it brings none. Raises NotSignedIn for a bad one."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = tokens.find(secret.strip())
    if token is None:
        raise NotSignedIn("This API token isn't known, or has been revoked.")
    request.api_token = token  # type: ignore[attr-defined]
    return token


def within_rate(key: object) -> None:
    """Raise TooOften when too many calls were made under this key."""
    if getattr(settings, "API_RATE_LIMIT", True):
        api_calls.take(key)


class StrictParser(Parser):
    """JSON as its standard says: no NaN, no Infinity."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class PydanticRenderer(BaseRenderer):
    """Write JSON as the socket does, so that a row looks the same on both."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return to_json(data)


def closed_query(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse query parameters that the call doesn't have; ninja would ignore them."""
    models = [model for model in view._ninja_operation.models if model.__ninja_param_source__ == "query"]  # type: ignore[attr-defined]
    known = {name for model in models for name in model.__ninja_flatten_map__}

    @functools.wraps(view)
    def checked(request: HttpRequest, *args: Any, **values: Any) -> Any:
        unknown = sorted(request.GET.keys() - known)
        if unknown:
            raise Invalid(f"There is no query parameter {unknown[0]!r}.")
        return view(request, *args, **values)

    return checked


def install(api: NinjaAPI) -> None:
    """Give an API the house's rules: errors as JSON with a code, closed queries."""
    api.add_decorator(closed_query)
    for exception, handler in HANDLERS.items():
        api.add_exception_handler(exception, handler)


def _refused(request: HttpRequest, error: MessagingError) -> HttpResponse:
    if error.code not in STATUS:
        return _failed(request, error)
    response = problem(STATUS[error.code], error.code, str(error))
    if isinstance(error, TooOften):
        response["Retry-After"] = str(error.retry_after)
    if response.status_code == 401:
        # HTTP asks for it. No browser opens a dialog for this scheme.
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
    return _refused(request, Invalid("; ".join(_sentences(invalid.errors[:3]))))


def _sentences(errors: Iterable[dict[str, Any]]) -> Iterable[str]:
    for error in errors:
        # Names that api.py and schemas.py give to a whole body or query tell a client nothing.
        place = [str(step) for step in error["loc"][1:] if step not in OUR_NAMES]
        yield f"{'.'.join(place) or error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"


def _failed(request: HttpRequest, exception: Exception) -> HttpResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=exception)
    return problem(500, "server_error", "Something went wrong on the server. It has been logged.")


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database is away. If it went during a COMMIT, nobody knows whether the call had its effect."""
    logger.warning("%s %s failed, for the database is away: %s", request.method, request.path, error)
    response = problem(503, "unavailable", "The database doesn't answer. Try again in a moment.")
    response["Retry-After"] = "1"
    return response


HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Exception: _failed,
    **dict.fromkeys((OperationalError, InterfaceError), _unavailable),
    MessagingError: _refused,
    ValidationError: _malformed,
    Http404: _missing,
    **dict.fromkeys(UNREADABLE, _unreadable),
    RequestDataTooBig: _too_large,
}
