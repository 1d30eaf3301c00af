"""Who makes a request by DOORBELL_AUTHENTICATE, the project's own authentication: the user, or None.

An exception with a `status_code` of 401 or 403, as Django REST framework's have, refuses the call; any other is a bug
of the hook's. Whether a call needs a CSRF token follows from how a browser could have sent it, not from what the hook
has read.
"""

from typing import Any

from django.http import HttpRequest

from messaging import hooks, users
from messaging.conf import conf
from messaging.exceptions import HookFailed, NotSignedIn

REFUSED = (401, 403)
# What a browser adds to another site's request by itself, once its user has signed in by it.
AMBIENT_SCHEMES = ("basic", "digest", "negotiate", "ntlm")


def user_of(request: HttpRequest) -> Any:
    """Return the user whom the project's hook finds, None without a hook. Raises NotSignedIn and HookFailed."""
    if conf.authenticate is None:
        return None
    try:
        user = hooks.call("authenticate", request)
    except HookFailed as failed:
        if getattr(failed.__cause__, "status_code", None) in REFUSED:
            raise NotSignedIn("This login isn't valid, or not any more.") from failed
        raise
    if user is None or getattr(user, "is_anonymous", False) is True:
        return None
    if not isinstance(user, users.concrete_model()) or user.pk is None:
        raise hooks.failure("authenticate", f"it returned {type(user).__name__}, which is no stored user")
    if not users.is_active(user):
        raise NotSignedIn("This account is deactivated.")
    return user


def is_by_header(request: HttpRequest) -> bool:
    """Return whether the request has a header that another site's page can't send without a preflight."""
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return bool(scheme) and scheme not in AMBIENT_SCHEMES
