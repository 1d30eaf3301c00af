"""Database errors by what follows from them, on both databases, and the retry of transactions after transient ones."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
)

logger = logging.getLogger(__name__)

R = TypeVar("R")

MAX_ATTEMPTS = 3
# A time-out that comes later than this isn't followed by another attempt: the caller waits, too.
MAX_RETRY_SECONDS = 2
# PostgreSQL: serialization failure; deadlock; foreign key violation, when the referenced row was deleted meanwhile.
FOREIGN_KEY_VIOLATION = "23503"
TRANSIENT_ERRORS = {"40001", "40P01", FOREIGN_KEY_VIOLATION}
LOCK_NOT_AVAILABLE = "55P03"
# PostgreSQL: lock_timeout; statement_timeout, or a cancelled query.
TIMEOUTS = {LOCK_NOT_AVAILABLE, "57014"}
# SQLite: SQLITE_BUSY and SQLITE_LOCKED, the low byte of all codes of "database is locked" and "… table is locked".
SQLITE_LOCKED = {5, 6}
SQLITE_FOREIGN_KEY_VIOLATION = 787
# What Django translates a driver's errors to.
DRIVER_ERRORS = (
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)


def retry_on_transient(work: Callable[[], R], *, timeouts: bool = False, savepoint: bool = False) -> R:
    """Run a transaction, up to three times in all if it ends in a transient error.

    `timeouts`: lock and statement time-outs count as transient, too. Within a transaction of the caller's the work is
    run once, since the error has ended that transaction; with `savepoint`, work that opens one itself may be repeated.
    """
    deadline = time.monotonic() + MAX_RETRY_SECONDS
    for attempt in range(1, MAX_ATTEMPTS + 1):
        # Before the work: what fails in a transaction may leave the connection closed.
        repeatable = savepoint or not connection.in_atomic_block
        try:
            return work()
        except BaseException as error:
            late = _is_timeout(error) and time.monotonic() > deadline
            if (
                not repeatable
                or late
                or attempt == MAX_ATTEMPTS
                or not is_transient(error, timeouts=timeouts)
            ):
                raise
            logger.info("transient database error; the transaction is retried: %r", error)
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
    raise AssertionError("unreachable")


def is_transient(error: BaseException | None, *, timeouts: bool = True) -> bool:
    """Return whether the same transaction may succeed when it is repeated."""
    return sqlstate(error) in TRANSIENT_ERRORS or is_dangling(error) or (timeouts and _is_timeout(error))


def _is_timeout(error: BaseException | None) -> bool:
    return sqlstate(error) in TIMEOUTS or _sqlite_code(error) & 0xFF in SQLITE_LOCKED


def is_conflict(error: BaseException | None) -> bool:
    """Return whether it is a conflict with other transactions: the database is available, and the call is valid."""
    return is_transient(error) and not is_dangling(error)


def is_dangling(error: BaseException | None) -> bool:
    """Return whether a row would have referred to one that doesn't exist, or was deleted meanwhile."""
    return isinstance(error, IntegrityError) and (
        sqlstate(error) == FOREIGN_KEY_VIOLATION or _sqlite_code(error) == SQLITE_FOREIGN_KEY_VIOLATION
    )


def is_row_gone(error: BaseException | None) -> bool:
    """Return whether `save(update_fields=…)` found no row: an error of Django's own, without one of the database's."""
    # From Django 6.0 on it has a subclass of its own.
    return (
        isinstance(error, DatabaseError) and not isinstance(error, DRIVER_ERRORS) and error.__cause__ is None
    )


def sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's code of an error; None for SQLite's and for a failed connection."""
    state: str | None = getattr(_driver_error(error), "sqlstate", None)
    return state


def _sqlite_code(error: BaseException | None) -> int:
    code: int = getattr(_driver_error(error), "sqlite_errorcode", 0)
    return code


def _driver_error(error: BaseException | None) -> BaseException | None:
    """Return the driver's error behind Django's, which may itself be the cause of another."""
    while error is not None and not hasattr(error, "sqlstate") and not hasattr(error, "sqlite_errorcode"):
        error = error.__cause__
    return error
