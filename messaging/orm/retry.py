"""Retries transactions after transient errors: serialization failure, deadlock, a concurrent deletion."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError

logger = logging.getLogger(__name__)

R = TypeVar("R")

MAX_ATTEMPTS = 3
# PostgreSQL: serialization failure; deadlock; foreign key violation, when the referenced row was deleted meanwhile.
TRANSIENT_ERRORS = {"40001", "40P01", "23503"}
LOCK_NOT_AVAILABLE = "55P03"


def retry_on_transient(work: Callable[[], R]) -> R:
    """Run a transaction, up to three times in all if it ends in a transient error."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return work()
        except DatabaseError as error:
            if sqlstate(error) not in TRANSIENT_ERRORS or attempt == MAX_ATTEMPTS:
                raise
            logger.info("transient database error; the transaction is retried: %r", error)
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
    raise AssertionError("unreachable")


def sqlstate(error: DatabaseError) -> str | None:
    """Return PostgreSQL's code of an error; None for SQLite's and for a failed connection."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state
