"""Log records of what clients cause: one line each, whatever a client has sent, and no error of the server's.

For LOGGING in a project's settings. Knows the records of Django and uvicorn; the apps' own are one line by themselves.
"""

import logging
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from django.db import InterfaceError, OperationalError

from messaging.orm.pools import is_pool_error
from realtime import request_id

# uvicorn's, of requests that no client of ours makes, but scanners do.
MALFORMED_REQUESTS = ("Invalid HTTP request received.", "Unsupported upgrade request.")


def escaped(text: str) -> str:
    """Escape what repr() escapes, spaces excepted: line breaks, terminal sequences, direction marks, surrogates."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


class OneLineFormatter(logging.Formatter):
    """A record is one line, and its traceback is indented: no text of a client's looks like a record.

    The line of a request, and of what it published, ends with `request=` and its id.
    """

    def format(self, record: logging.LogRecord) -> str:
        # The formatter of another handler may have left its own text here.
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's names
        current = request_id.current()
        return escaped(super().formatMessage(record)) + (f" request={current}" if current else "")

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"  {escaped(line)}" for line in text.split("\n"))


class ClientErrorFilter(logging.Filter):
    """A request that Django or uvicorn refuses is one line at INFO, without a traceback.

    Django logs a foreign Host as ERROR with a traceback, and any scanner sends one. A 503 is DEBUG: what answers with
    one logs the reason. Belongs to a handler: a logger's filter doesn't see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        level = self._level(record)
        if level == record.levelno:
            return True
        record.levelno, record.levelname = level, logging.getLevelName(level)
        record.exc_info = record.exc_text = None
        return logging.getLogger().isEnabledFor(level)

    def _level(self, record: logging.LogRecord) -> int:
        # Set by django.utils.log.log_response.
        status: Any = getattr(record, "status_code", 0)
        if record.name.startswith("django.security.") and 400 <= status < 500:
            return logging.INFO
        if record.name == "django.request" and status == 503:
            return logging.DEBUG
        if record.name == "uvicorn.error" and record.msg in MALFORMED_REQUESTS:
            return logging.INFO
        return record.levelno


class OutageFilter(logging.Filter):
    """While the database is unavailable or its pool full, which one line has said, what follows from it is DEBUG.

    That is a record with the database's error: each call, each sweep and each renewal of a lease writes one. Of the
    lines of psycopg's pool there is one a minute, and none in an outage that is known.
    """

    POOL_SECONDS = 60.0

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._pool_at = -self.POOL_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "psycopg.pool" and record.levelno >= logging.WARNING:
            return self._is_first_of_a_minute()
        if _is_consequence(record):
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            return logging.getLogger().isEnabledFor(logging.DEBUG)
        return True

    def _is_first_of_a_minute(self) -> bool:
        now = time.monotonic()
        if _outage() or now - self._pool_at < self.POOL_SECONDS:
            return False
        self._pool_at = now
        return True


def _is_consequence(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING or not record.args:
        return False
    given = record.args.values() if isinstance(record.args, Mapping) else record.args
    errors = [one for one in given if isinstance(one, (OperationalError, InterfaceError))]
    if not errors:
        return False
    return _outage() or (_overload() and any(map(is_pool_error, errors)))


def _outage() -> bool:
    known = _known_database()
    return known is not None and not known.is_available


def _overload() -> bool:
    known = _known_database()
    return known is not None and known.is_overloaded


def _known_database() -> Any:
    # Only where it has been imported does anything ask the database. Logging begins before the apps are ready.
    return getattr(sys.modules.get("realtime.database"), "database", None)
