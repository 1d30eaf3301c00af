"""Where the API and the socket are: that follows from the project's URLconf alone, which includes `realtime.urls`.

No setting names an address, and no other module spells one out.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, get_urlconf, reverse
from django.utils import translation

# Of the API's addresses, below whatever namespaces the project includes them in.
NAMESPACE = "doorbell"
API, SOCKET = "api/v1/", "ws/notifications/"

Chain = tuple[URLResolver, ...]


def api_path() -> str:
    """Return the API's path, with the script prefix: `/api/v1/` by default. Raises NoReverseMatch."""
    for chain in chains(get_resolver(get_urlconf())):
        namespaces = [resolver.namespace for resolver in chain if resolver.namespace]
        try:
            return reverse(":".join([*namespaces, "api-root"]))
        except NoReverseMatch:  # below a path with parameters
            continue
    raise NoReverseMatch("realtime.urls isn't included in the URLconf, or only below a path with parameters.")


def socket_path() -> str:
    """Return the socket's path: `/ws/notifications/` beside an API at `/api/v1/`. Raises NoReverseMatch."""
    return api_path().removesuffix(API) + SOCKET


def prefix() -> str:
    """Return what stands before both paths, the script prefix left out: empty by default. Raises NoReverseMatch."""
    return api_path().removeprefix(get_script_prefix()).removesuffix(API)


def is_socket(path: str) -> bool:
    """Return whether this path, without a script prefix and its first slash, is the socket's.

    Where the URLconf doesn't include the API at all, the socket is at its default address.
    """
    if not path.endswith(SOCKET):
        return False
    found = chains(get_resolver())
    return any(_is_below(chain, path) for chain in found) if found else path == SOCKET


def _is_below(chain: Chain, path: str) -> bool:
    # i18n_patterns match the language in force. In a handshake none is.
    languages = {settings.LANGUAGE_CODE, translation.get_language_from_path(f"/{path}")}
    return any(_matches(chain, path, language) for language in languages)


def _matches(chain: Chain, path: str, language: str | None) -> bool:
    with translation.override(language):
        # The last one is the API's own.
        for resolver in chain[:-1]:
            match = resolver.pattern.match(path)
            if match is None:
                return False
            path = str(match[0])
    return path == SOCKET


@lru_cache(maxsize=8)
def chains(root: URLResolver) -> tuple[Chain, ...]:
    """Return each way in which a URLconf includes the API: the resolvers down to it."""
    return tuple(_chains(root.url_patterns))


def _chains(patterns: list[Any], above: Chain = ()) -> Iterator[Chain]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace == NAMESPACE and pattern.app_name == "ninja":
                yield (*above, pattern)
            else:
                yield from _chains(pattern.url_patterns, (*above, pattern))
