"""Addresses below the API's prefix that are in no call. They are ours unless the project has declared them itself.

A project may have an `api/v1/` of its own, before or after ours: its addresses, and Django's redirect to the one with a
slash, must not end in our 404. A catch-all, such as a single-page application's, declares nothing.
"""

import re
import threading
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, Resolver404, get_resolver, get_urlconf
from django.urls.resolvers import RegexPattern, RoutePattern

from realtime import mount

FIXED_TEXT = re.compile(r"\^?[\w-]")
_asking = threading.local()


class UnclaimedPattern(RegexPattern):
    """Matches what the rest of the project's URLconf doesn't."""

    def match(self, path: str) -> Any:
        found = super().match(path)
        if found is None or getattr(_asking, "now", False) or _is_claimed(path):
            return None
        return found


class NamePattern(RoutePattern):
    """Matches nothing: it gives an address its name."""

    def match(self, path: str) -> None:
        return None


def _is_claimed(path: str) -> bool:
    """Return whether another pattern, one that begins with fixed text, matches this path."""
    try:
        path = f"/{mount.prefix()}{path}"
    except NoReverseMatch:  # below a path with parameters
        return False
    candidates = [path]
    if settings.APPEND_SLASH and not path.endswith("/"):
        candidates.append(f"{path}/")
    _asking.now = True
    try:
        return any(_is_declared(candidate) for candidate in candidates)
    finally:
        _asking.now = False


def _is_declared(path: str) -> bool:
    try:
        route = get_resolver(get_urlconf()).resolve(path).route
    except Resolver404:
        return False
    return FIXED_TEXT.match(route) is not None
