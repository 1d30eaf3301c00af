"""The authentication backend that applies login_throttle.py to every caller of Django's `authenticate()`.

First in AUTHENTICATION_BACKENDS. It has no users and no passwords of its own: the backends after it decide.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, load_backend
from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from . import login_throttle, users
from .exceptions import TooOften

PATH = f"{__name__}.LoginThrottle"


class LoginThrottle(BaseBackend):
    """Calls the backends after it, under the rule. When none accepts, Django need not call them again."""

    @sensitive_variables()
    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:
        """Return the user. Raises PermissionDenied, at which Django's `authenticate()` returns None.

        A refusal, unlike a wrong password, is left in `request.sign_in_refusal`.
        """
        # Without a password there is nothing to guess: a proxy's header, an OAuth answer. And calls that are under the
        # rule already look after the answer themselves.
        if "password" not in credentials or getattr(request, "is_sign_in_attempt", False):
            return None
        try:
            user = login_throttle.attempt(
                request, _name_in(credentials), lambda: _call_others(request, credentials)
            )
        except TooOften as refusal:
            if request is not None:
                # Django REST framework wraps Django's request.
                getattr(request, "_request", request).sign_in_refusal = refusal  # type: ignore[union-attr]
            raise PermissionDenied(str(refusal)) from refusal
        if user is None:
            raise PermissionDenied
        return user

    def get_user(self, user_id: Any) -> Any:
        """Return the user of a session that names this backend: one that was begun without `authenticate()`."""
        users = (backend.get_user(user_id) for _, backend in _others())
        return next((user for user in users if user is not None), None)


def name_backend_that_accepted(sender: Any, *, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """Store in the new session the backend that accepted the user, as if there were no throttle."""
    path, session = getattr(user, "_accepted_by", None), getattr(request, "session", {})
    if path is not None and session.get(BACKEND_SESSION_KEY) == PATH:
        session[BACKEND_SESSION_KEY] = user.backend = path


@sensitive_variables()
def _call_others(request: HttpRequest | None, credentials: dict[str, Any]) -> Any:
    for path, backend in _others():
        try:
            inspect.signature(backend.authenticate).bind(request, **credentials)
        except TypeError:
            # As in Django: this backend takes other credentials.
            continue
        try:
            user = backend.authenticate(request, **credentials)
        except PermissionDenied:
            return None
        if user is not None:
            user._accepted_by = path
            return user
    return None


def _others() -> Iterator[tuple[str, Any]]:
    paths = list(settings.AUTHENTICATION_BACKENDS)
    first = paths.index(PATH) + 1 if PATH in paths else 0
    return ((path, load_backend(path)) for path in paths[first:])


def _name_in(credentials: dict[str, Any]) -> str:
    for key in ("username", users.name_field(), users.email_field(), "login"):
        if credentials.get(key):
            return str(credentials[key])
    return ""
