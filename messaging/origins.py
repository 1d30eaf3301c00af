"""The origins of REALTIME_ORIGINS: whose pages may open a socket and call the API with the user's cookies."""

from django.conf import settings

from .setting_types import ORIGIN

Origin = tuple[str, str, int]
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parsed(origin: str) -> Origin | None:
    """Return scheme, host and port of an Origin; None if it isn't one, `null` for example."""
    match = ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme, 0)


def are_listed() -> bool:
    return bool(getattr(settings, "REALTIME_ORIGINS", None))


def is_listed(origin: str) -> bool:
    given = parsed(origin)
    return given is not None and given in [
        parsed(listed) for listed in getattr(settings, "REALTIME_ORIGINS", None) or ()
    ]
