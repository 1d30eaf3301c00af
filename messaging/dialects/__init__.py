"""What the two databases do in different ways: `base` says what, `postgresql` and `sqlite` how."""

from django.db import connection

from . import postgresql, sqlite
from .base import Dialect, InboxState, NumberedRow

__all__ = ["Dialect", "InboxState", "NumberedRow", "dialect"]


def dialect() -> Dialect:
    """Return the functions for the default database."""
    # Two returns: of a conditional expression mypy would not compare the modules with Dialect.
    if connection.vendor == "postgresql":
        return postgresql
    return sqlite
