"""Who makes a request: authentication, CSRF checks and rate limit, for any call of the API; nothing of a call's own."""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.middleware.csrf import CsrfViewMiddleware
from ninja.security import APIKeyCookie, HttpBearer

from messaging import origins, tokens
from messaging.conf import conf
from messaging.exceptions import CsrfFailed, NotAllowed, NotJson, NotSignedIn
from messaging.models import ApiToken

from . import project_login
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

    def _origin_verified(self, request: HttpRequest) -> bool:
        # The stubs lack Django's.
        return super()._origin_verified(request) or origins.is_listed(request.META["HTTP_ORIGIN"])  # type: ignore[misc]

    def check(self, request: HttpRequest) -> None:
        self.process_request(request)
        self.process_view(request, _no_view, (), {})

    def check_origin(self, request: HttpRequest) -> None:
        if "Origin" in request.headers and not self._origin_verified(request):
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
    """Authenticates a user by their API token, the project's hook or Django's session: 401 without, then 429, then 403.

    403 means no CSRF token where one is needed, or an API token that isn't a user's.
    """

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        token = identify(request)
        if token is None and not request.user.is_authenticated:
            raise _not_signed_in(request)
        within_rate(request, ("token", token.pk) if token and token.user is None else request.user.pk)
        if token is None:
            require_no_forgery(request)
        elif token.user is None:
            raise NotAllowed("This token isn't a user's.")
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        raise NotImplementedError


class PublishToken(HttpBearer):
    """Authenticates an API token with the publish right: 401 without a token or a session, 403 without the right."""

    def __call__(self, request: HttpRequest) -> Any:
        token = identify(request)
        if token is None and not request.user.is_authenticated:
            raise _not_signed_in(request)
        if token is None or not token.can_publish:
            raise NotAllowed("Publishing needs an API token with the publish right.")
        within_rate(request, ("token", token.pk), at_once=PUBLISHES_AT_ONCE)
        return token

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        raise NotImplementedError


def identify(request: HttpRequest) -> ApiToken | None:
    """Set `request.user` to whose request it is, and return its API token, if it has one. Raises NotSignedIn.

    An API token counts before the project's hook, and that before Django's session. Without a hook every Bearer is
    meant for us; with one, what isn't in the form of an API token is the hook's, and beside it the session counts.
    """
    secret = _bearer(request)
    if secret is not None and (conf.authenticate is None or secret.startswith(tokens.PREFIX)):
        token = tokens.find(secret)
        if token is None:
            raise NotSignedIn("This API token isn't known, or has been revoked.")
        request.api_token = token  # type: ignore[attr-defined]
        request.user = token.user or AnonymousUser()
        return token
    user = project_login.user_of(request)
    if user is None or (not project_login.is_by_header(request) and user.pk == request.user.pk):
        # What the hook has found may be the session: it stays one, whose end closes its sockets.
        return None
    request.user = user
    request.is_project_login = True  # type: ignore[attr-defined]
    return None


def _bearer(request: HttpRequest) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _not_signed_in(request: HttpRequest) -> NotSignedIn:
    if _bearer(request) is None:
        return NotSignedIn()
    return NotSignedIn("This Bearer is neither an API token nor a login that DOORBELL_AUTHENTICATE accepts.")


def is_project_login(request: HttpRequest) -> bool:
    """Return whether the project's hook has found the user of this request."""
    return getattr(request, "is_project_login", False)


def require_no_forgery(request: HttpRequest) -> None:
    """Raise CsrfFailed if another site's page may have sent this request with a session or the project's login."""
    if not is_project_login(request) or (request.COOKIES and not project_login.is_by_header(request)):
        require_csrf_token(request)
    elif request.method != "GET" and not project_login.is_by_header(request):
        # A header of the project's own, or the browser's certificate: there is no cookie that a token could go with.
        require_own_origin(request)


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
