"""Who makes a request: authentication, CSRF checks and rate limit, for any call of the API; nothing of a call's own."""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.middleware.csrf import CsrfViewMiddleware
from ninja.security import APIKeyCookie, HttpBearer

from messaging import tokens
from messaging.exceptions import CsrfFailed, NotAllowed, NotJson, NotSignedIn
from messaging.models import ApiToken

from .throttles import CALLS_AT_ONCE, PUBLISHES_AT_ONCE, api_calls, running_calls


class SignedIn(HttpRequest):
    """A request that `SessionOrToken` has admitted."""

    user: User


def _no_view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


class _CsrfCheck(CsrfViewMiddleware):
    """Django's own check, made by the call itself: it must come after authentication."""

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


def csrf_header() -> str:
    """The name of the header that carries the CSRF token, as the project's CSRF_HEADER_NAME has it."""
    if settings.CSRF_HEADER_NAME == "HTTP_X_CSRFTOKEN":
        return "X-CSRFToken"
    return HttpHeaders.parse_header_name(settings.CSRF_HEADER_NAME) or "X-CSRFToken"


def require_own_origin(request: HttpRequest) -> None:
    """Raise CsrfFailed if the request's Origin is another site."""
    _CsrfCheck().check_origin(request)


def require_json(request: HttpRequest) -> None:
    """Raise NotJson unless the content type is JSON: a form on another site can't send that without a preflight."""
    if request.content_type != "application/json":
        raise NotJson


class SessionOrToken(APIKeyCookie):
    """Authenticates a user by their API token or Django's session: 401 without, then 429, then 403.

    403 means no CSRF token with a session, or an API token that isn't a user's.
    """

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        token = bearer(request)
        if token is not None and token.user is not None:
            request.user = token.user
        if token is None and not request.user.is_authenticated:
            raise NotSignedIn
        within_rate(request, ("token", token.pk) if token and token.user is None else request.user.pk)
        if token is None:
            require_csrf_token(request)
        elif token.user is None:
            raise NotAllowed("This token isn't a user's.")
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        raise NotImplementedError


class PublishToken(HttpBearer):
    """Authenticates an API token with the publish right: 401 without a token or a session, 403 without the right."""

    def __call__(self, request: HttpRequest) -> Any:
        token = bearer(request)
        if token is None and not request.user.is_authenticated:
            raise NotSignedIn
        if token is None or not token.can_publish:
            raise NotAllowed("Publishing needs an API token with the publish right.")
        within_rate(request, ("token", token.pk), at_once=PUBLISHES_AT_ONCE)
        return token

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        raise NotImplementedError


def bearer(request: HttpRequest) -> ApiToken | None:
    """Return the request's API token, None without one. Raises NotSignedIn if it is unknown or revoked."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = tokens.find(secret.strip())
    if token is None:
        raise NotSignedIn("This API token isn't known, or has been revoked.")
    request.api_token = token  # type: ignore[attr-defined]
    return token


def within_rate(request: HttpRequest, key: object, *, at_once: int = CALLS_AT_ONCE) -> None:
    """Raise TooOften when too many calls were made under this key: a user's or a token's."""
    request.running_limit = at_once, key  # type: ignore[attr-defined]
    if getattr(settings, "API_RATE_LIMIT", True):
        api_calls.take(key)


def few_at_once(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let few calls of a user or token run at once. More wait their turn: a burst mustn't take every connection."""

    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **values: Any) -> Any:
        limit = getattr(request, "running_limit", None)
        if limit is None:
            return view(request, *args, **values)
        with running_calls.held(*limit):
            return view(request, *args, **values)

    return answer
