"""Transactions that are tried again: nothing was wrong with them but the moment."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError

logger = logging.getLogger(__name__)

R = TypeVar("R")

TRIES = 3
# PostgreSQL: serialization failure, deadlock; foreign key: what a new row points to was deleted meanwhile.
TRANSIENT_ERRORS = {"40001", "40P01", "23503"}
LOCK_NOT_AVAILABLE = "55P03"


def retry_on_transient(work: Callable[[], R]) -> R:
    """Do a transaction. One that ends in a passing error is done again, up to three times in all."""
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except DatabaseError as error:
            if sqlstate(error) not in TRANSIENT_ERRORS or attempt == TRIES:
                raise
            logger.info("a transaction is tried again after %s", error)
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
    raise AssertionError("unreachable")


def sqlstate(error: DatabaseError) -> str | None:
    """PostgreSQL's code of an error, None if it has none: SQLite's, or that of a connection that failed."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state
