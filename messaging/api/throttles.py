"""Rate limits: of failed sign-ins, counted in the database, and of API calls, counted in this process."""

import threading
from collections import OrderedDict
from datetime import timedelta
from ipaddress import ip_address

from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone

from messaging.exceptions import TooManyAttempts, TooOften
from messaging.models import LoginFailure
from messaging.token_bucket import TokenBucket

FAILURES_WINDOW = timedelta(minutes=5)
FAILURES_PER_USERNAME = 5
FAILURES_PER_ADDRESS = 100

CALLS_PER_BURST = 200
CALLS_PER_SECOND = 20

# "Sign out everywhere", of one user.
SIGN_OUTS_PER_BURST = 5
SIGN_OUTS_PER_SECOND = 1 / 60


def client_address(request: HttpRequest) -> str:
    """Return the address for which failed sign-ins are counted; "" for all requests whose proxy names none."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))[:45]
    except ValueError:
        return ""


def refuse_after_failures(username: str, address: str, *, own_failures: int = 0) -> None:
    """Raise TooManyAttempts after too many failed sign-ins of this username from this address, or of any from it.

    `own_failures`: how many of the stored failures are the caller's own, which don't count against it.
    """
    failures = LoginFailure.objects.filter(address=address, at__gt=Now() - FAILURES_WINDOW)
    latest = list(
        failures.order_by("-at").values_list("username", "at")[: FAILURES_PER_ADDRESS + own_failures]
    )
    of_username = [at for name, at in latest if name == username[:150]]
    for moments, limit in (
        ([at for _, at in latest], FAILURES_PER_ADDRESS),
        (of_username, FAILURES_PER_USERNAME),
    ):
        if len(moments) - own_failures >= limit:
            raise TooManyAttempts((moments[limit - 1] + FAILURES_WINDOW - timezone.now()).total_seconds())


def note_failure(username: str, address: str) -> None:
    """Store a failed sign-in. Raises TooManyAttempts if others, made at the same time, have used up the attempts.

    Stored first and counted afterwards, so that concurrent attempts get no more answers than consecutive ones.
    """
    LoginFailure.objects.filter(at__lt=Now() - FAILURES_WINDOW).delete()
    LoginFailure.objects.create(username=username[:150], address=address)
    refuse_after_failures(username, address, own_failures=1)


class TokenBuckets:
    """A token bucket for each key.

    Kept in the process's memory: with several processes each allows this much. The least recently used ones are
    dropped, which refills them: `max_keys` must exceed the keys that can call within burst / rate seconds.
    """

    def __init__(self, rate: float, burst: int, max_keys: int = 50_000) -> None:
        self.rate, self.burst, self.max_keys = rate, burst, max_keys
        self._buckets: OrderedDict[object, TokenBucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: object) -> None:
        """Take a token. Raises TooOften when there is none."""
        with self._lock:
            bucket = self._buckets.pop(key, None) or TokenBucket(self.rate, self.burst)
            self._buckets[key] = bucket
            if len(self._buckets) > self.max_keys:
                self._buckets.popitem(last=False)
            if not bucket.take():
                raise TooOften(bucket.retry_after)

    def clear(self) -> None:
        self._buckets.clear()


api_calls = TokenBuckets(CALLS_PER_SECOND, CALLS_PER_BURST)
# Each call reads every session of every user.
sign_outs = TokenBuckets(SIGN_OUTS_PER_SECOND, SIGN_OUTS_PER_BURST)
