"""The one rule for every attempt to sign in: how many may fail, how many a name may make, how many run at once.

Failures are counted in the database, so over all processes; the rest is this process's. Independent of its
callers: auth_backends.py applies it to each call of Django's `authenticate()`.
"""

import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.orm.querysets import delete_unlocked

from .addresses import network_of
from .exceptions import TooManyAttempts
from .models import LoginFailure
from .slots import Slots
from .token_bucket import TokenBuckets

FAILURES_WINDOW = timedelta(minutes=5)
FAILURES_PER_USERNAME = 5
FAILURES_PER_ADDRESS = 100
SIGN_INS_PER_BURST = 100

T = TypeVar("T")

# Of one name from one address, whether they succeed or not.
sign_ins = TokenBuckets(getattr(settings, "SIGN_INS_PER_SECOND", 1), SIGN_INS_PER_BURST)
# A hash takes a core for a third of a second: sixty who wait are served within ten seconds on two idle cores.
password_hashes = Slots(60, 25, _("Too many sign-ins at once: try again in a moment."))


def attempt(request: HttpRequest | None, username: str, check: Callable[[], T | None]) -> T | None:
    """Check a password under the rule: `check` returns the user, or None if the attempt failed.

    Raises TooManyAttempts or TooOften. The right password is refused as well while the name or the address is locked:
    looked at before the password is hashed, and again afterwards, so that concurrent attempts get no more answers than
    consecutive ones.
    """
    password_hashes.refuse_if_full()
    username, address = normalized(username), client_address(request)
    refuse_after_failures(username, address)
    # Without a request (a test, a shell, a worker) there is no address that could be slowed down on its own.
    if request is not None and getattr(settings, "API_RATE_LIMIT", True):
        sign_ins.take((username, address))
    with password_hashes.held(getattr(settings, "PASSWORD_HASHES_AT_ONCE", 2)) as waited:
        if waited:
            refuse_after_failures(username, address)
        user = check()
    if user is None:
        note_failure(username, address)
    else:
        refuse_after_failures(username, address)
    return user


def normalized(username: str) -> str:
    """Return one spelling for all those that a backend may take for the same user.

    Case, compatibility forms, blanks and invisible characters don't count. Two users whose names differ only in these
    share their failures. What remains is fit for a database, whatever it was.
    """
    folded = unicodedata.normalize("NFKC", username).casefold()
    return "".join(char for char in folded if char.isprintable() and not char.isspace())[:150]


def client_address(request: HttpRequest | None) -> str:
    """Return the address for which attempts are counted; "" if the proxy names none, and without a request."""
    meta: dict[str, Any] = {} if request is None else request.META
    return network_of(str(meta.get("REMOTE_ADDR")))


def refuse_after_failures(username: str, address: str, *, own_failures: int = 0) -> None:
    """Raise TooManyAttempts after too many failed sign-ins of this username from this address, or of any from it.

    `own_failures`: how many of the stored failures are the caller's own, which don't count against it.
    """
    failures = LoginFailure.objects.filter(address=address, at__gt=Now() - FAILURES_WINDOW)
    latest = list(
        failures.order_by("-at").values_list("username", "at")[: FAILURES_PER_ADDRESS + own_failures]
    )
    of_username = [at for name, at in latest if name == username]
    for moments, limit in (
        ([at for _name, at in latest], FAILURES_PER_ADDRESS),
        (of_username, FAILURES_PER_USERNAME),
    ):
        if len(moments) - own_failures >= limit:
            raise TooManyAttempts((moments[limit - 1] + FAILURES_WINDOW - timezone.now()).total_seconds())


def note_failure(username: str, address: str) -> None:
    """Store a failed sign-in. Raises TooManyAttempts if others, made at the same time, have used up the attempts.

    Stored first and counted afterwards, so that concurrent attempts get no more answers than consecutive ones.
    """
    delete_unlocked(LoginFailure.objects.filter(at__lt=Now() - FAILURES_WINDOW))
    LoginFailure.objects.create(username=username, address=address)
    refuse_after_failures(username, address, own_failures=1)
