"""What this process knows of its database: whether it answers, and why not; missing migrations; a full pool.

Asked over a connection of its own, so that a full pool isn't taken for a database that is away. Nothing here hangs.
"""

import functools
import logging
import os
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.orm import pools, tables

from .outages import Outage
from .questions import Question

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
# Reading all migrations from the disk takes a moment, once.
MIGRATIONS_SECONDS = 10.0
APPS = ("messaging", "realtime")
# How long a call waits for a connection while PostgreSQL refuses them. Not 0: a call that waits has the pool try again.
REFUSED_WAIT_SECONDS = 0.05
# A peer that is gone without a word is noticed by these.
CONNECTION_OPTIONS = {"connect_timeout": 3, "keepalives_idle": 5, "tcp_user_timeout": 10_000}


class Answer(NamedTuple):
    """`reason`: why it isn't one. `refused`: the database or its host said so; otherwise it is silent."""

    reason: str | None = None
    refused: bool = False


class Database:
    """One for the process: `database`."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        name = connections["default"].display_name
        self.outage = Outage(
            logger,
            f"{name} unavailable; calls are answered with 503, sockets stay open and catch up later: %s",
            f"{name} still unavailable after %.0f min: %s",
            f"{name} available again after %.0f s",
        )
        self.overload = Outage(
            logger,
            "database pool full; slow queries or locks hold its connections, and calls that wait too long for one are "
            "answered with 503: %s",
            "database pool still full after %.0f min: %s",
            "database pool has free connections again after %.0f s",
        )
        self.migrated = False
        self._question = Question(self._ask, Answer("no answer within a second"))
        self._migrations = Question(self._unapplied, None)
        self._unanswered = 0
        self._was_full = False
        # The question's connection is kept between two questions, for a process that asks all the time.
        self._watched = False
        self._own: Any = None

    async def answers(self) -> bool:
        """Return whether the database answers within a second."""
        answer = await self._question.answer(PROBE_SECONDS)
        self._note(answer)
        return answer.reason is None

    async def missing_migrations(self) -> list[str] | None:
        """Return what `migrate` would apply to our tables. None: unknown. When it was nothing, it isn't asked again."""
        if self.migrated:
            return []
        missing = await self._migrations.answer(MIGRATIONS_SECONDS)
        self.migrated = missing == []
        return missing

    @property
    def pool(self) -> pools.Pool | None:
        return pools.pool_of(connections["default"])

    @property
    def is_overloaded(self) -> bool:
        """True: a full pool is known, and has been logged."""
        return self.overload.since is not None

    @property
    def is_available(self) -> bool:
        """False: an outage is known, and has been logged."""
        return self.outage.since is None

    async def watch(self) -> None:
        """Ask, so that outages are logged. For a process that serves, every second."""
        self._watched = True
        await self.answers()
        pool = self.pool
        is_full = self.is_available and pool is not None and pool.is_full
        # Of two findings in a row: a burst may fill it for a moment.
        if is_full == self._was_full:
            self.overload.note(described(pool) if is_full and pool is not None else None)
        self._was_full = is_full

    def _note(self, answer: Answer) -> None:
        self._unanswered = self._unanswered + 1 if answer.reason is not None else 0
        # On a busy machine one answer may come late.
        if self._unanswered == 1 and not answer.refused:
            return
        self.outage.note(answer.reason)
        if self._watched:
            pools.set_wait(connections["default"], REFUSED_WAIT_SECONDS if answer.refused else None)

    # --- In a thread of the question's --------------------------------------------------------------------------

    def _ask(self) -> Answer:
        kept = self._own is not None
        try:
            self._query()
        except Exception as error:
            self._close()
            # A kept connection may have been ended since the last question.
            return self._ask() if kept else _refusal(error)
        if not (self._watched and self._own.vendor == "postgresql"):
            self._close()
        return Answer()

    def _query(self) -> None:
        if self._own is None:
            self._own = own_connection()
        with self._own.cursor() as cursor:
            cursor.execute("SELECT 1")

    def _close(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def _unapplied(self) -> list[str] | None:
        own = own_connection()
        try:
            return tables.unapplied(own, APPS)
        finally:
            own.close()


def _refusal(error: Exception) -> Answer:
    """The driver's errors name address and reason, and no password."""
    return Answer(" ".join(str(error).split()) or repr(error), refused=True)


def own_connection() -> Any:
    """Return a connection to the database that is in no pool, and that any thread may use."""
    own: Any = connections["default"].copy()
    if own.vendor == "postgresql":
        options = own.settings_dict.setdefault("OPTIONS", {})
        options.pop("pool", None)
        own.settings_dict["OPTIONS"] = {**CONNECTION_OPTIONS, **options}
    own.inc_thread_sharing()
    # SQLite's own method leaves a database in memory open, for it may be the only connection. This one isn't.
    own.close = functools.partial(BaseDatabaseWrapper.close, own)
    return own


def described(pool: pools.Pool) -> str:
    return f"the pool of {pool.largest} is full, {pool.waiting} wait"


database = Database()
# The connection is the parent's.
os.register_at_fork(after_in_child=database._begin)
