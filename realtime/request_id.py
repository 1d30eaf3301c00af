"""The id of the HTTP request that runs, for the log: of each of its lines, and of those of what it published.

A context variable, which Django hands on to a request's thread; the relay and the hub bind it for their lines. Knows
neither HTTP nor the log.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# Longer ones, and others, are made anew: it stands in the log, in headers, and in messages of the channel layer.
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")

_current: ContextVar[str | None] = ContextVar("doorbell_request_id", default=None)


def current() -> str | None:
    """Return the id of the request that runs here, None outside of requests."""
    return _current.get()


@contextmanager
def bound(request_id: Any) -> Iterator[None]:
    """Have lines of the log say this id. Anything but a sane one: none."""
    is_sane = isinstance(request_id, str) and SANE.fullmatch(request_id) is not None
    token = _current.set(request_id if is_sane else None)
    try:
        yield
    finally:
        _current.reset(token)


def accepted(given: str) -> str:
    """Return the id that a request came with, or a new one."""
    return given if SANE.fullmatch(given) else uuid.uuid4().hex
