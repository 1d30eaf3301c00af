"""Stores notifications that have been built: numbered at once if no transaction is open, else pending.

notifications.py builds and validates them; insertion.py and numbered_insertion.py have the statements.
"""

import functools
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, transaction

from messaging.orm import tables
from messaging.orm.retry import retry_on_transient

from . import notification_types
from .events import announce_pending, revisions_assigned
from .insertion import ROWS_PER_INSERT, insert, insert_same, is_stored
from .models import Block, Inbox, Notification
from .numbered_insertion import insert_numbered, insert_same_numbered

logger = logging.getLogger(__name__)
# Of a line of the log.
IDS_PER_LINE = 100


def create(rows: Iterable[Notification], *, held: bool = False) -> list[Notification]:
    """Insert notifications from `build`. Returns those that were inserted: see `store`."""
    return store(rows, held=held).created


class Stored(NamedTuple):
    """The rows that were inserted, and the ids of the users who don't exist: their rows were left out."""

    created: list[Notification]
    unknown: set[Any]


def store(rows: Iterable[Notification], *, held: bool = False) -> Stored:
    """Insert notifications from `build`, in the current transaction or in one of its own.

    Left out are rows whose dedupe_key their user has, rows of unknown users, and rows of those who have blocked the
    actor. The others' users stay locked against deletion until the transaction ends. `held`: as for `insert`.
    """
    try:
        return _store(list(rows), held)
    except DatabaseError as error:
        tables.explain(error)
        raise
    except SynchronousOnlyOperation as error:
        error.add_note(
            "In async code: `await anotify(…)` or `await anotify_many(…)`, with the same arguments."
        )
        raise


def _store(rows: list[Notification], held: bool) -> Stored:
    is_one = len(rows) == 1
    if not is_one:
        rows = _without_blocked(rows)
    # In the order of users, as every writer: two inserts of the same keys wait for each other and never deadlock.
    # Stable, so that the ids of one user's rows are in the order in which they were given.
    ordered = sorted(rows, key=lambda row: row.user_id)
    unless_blocked = is_one and _is_blockable(rows[0])
    is_one_statement = len(ordered) <= ROWS_PER_INSERT
    unknown = None
    # (Rows whose references are held are in a transaction.)
    if is_one_statement and _commits_at_once() and not any(row.group_key is not None for row in ordered):
        unknown = _store_numbered(ordered, unless_blocked)
    if unknown is None:
        work = functools.partial(insert, ordered, held=held, unless_blocked=unless_blocked)
        # One statement is a transaction of its own, and spares the round trips of BEGIN and COMMIT.
        unknown = retry_on_transient(work, timeouts=True) if is_one_statement else _in_transaction(work)
        announce_pending({row.user_id for row in rows if is_stored(row)})
    stored = [row for row in rows if is_stored(row)]
    log_rows("stored", [row.pk for row in stored])
    return Stored(stored, unknown)


def log_rows(text: str, ids: Sequence[int]) -> None:
    """Log what a call has done with these notifications: from here on their revisions can be followed."""
    if logger.isEnabledFor(logging.DEBUG):
        for start in range(0, len(ids), IDS_PER_LINE):
            named = {"notifications": ids[start : start + IDS_PER_LINE]}
            logger.debug(f"{text}: notifications=%(notifications)s", named)  # noqa: G004


def store_same(user_ids: Collection[Any], columns: Mapping[str, Any]) -> set[Any]:
    """Insert one notification of the same columns for each of these users, at most ROWS_PER_INSERT, without instances.

    Left out are those whom `store` leaves out. Returns the users whose rows are pending: the caller has them numbered.
    """
    actor_id, example = columns["actor_id"], Notification(**columns)
    if actor_id is not None and _is_blockable(example):
        blocks = Block.objects.filter(blocked_id=actor_id, blocker_id__in=user_ids)
        user_ids = set(user_ids).difference(blocks.values_list("blocker_id", flat=True))
    # In the order of users, as in `store`.
    ordered = sorted(user_ids)
    if not ordered:
        return set()
    if _commits_at_once() and columns["group_key"] is None:
        outcome = retry_on_transient(lambda: insert_same_numbered(ordered, columns), timeouts=True)
        if outcome is not None:
            if outcome.revisions:
                revisions_assigned.send_robust(sender=Inbox, revisions=outcome.revisions)
            return outcome.pending
    return retry_on_transient(lambda: insert_same(ordered, columns), timeouts=True)


def _commits_at_once() -> bool:
    # Without autocommit the caller's commit is still to come.
    return not connection.in_atomic_block and connection.get_autocommit()


def _store_numbered(rows: list[Notification], unless_blocked: bool) -> set[Any] | None:
    """Return the ids of unknown users; None if nothing could be stored in this way."""
    outcome = retry_on_transient(lambda: insert_numbered(rows, unless_blocked=unless_blocked), timeouts=True)
    if outcome is None:
        return None
    if outcome.revisions:
        revisions_assigned.send_robust(sender=Inbox, revisions=outcome.revisions)
    announce_pending(outcome.pending)
    return outcome.unknown


def _in_transaction(work: Callable[[], set[Any]]) -> set[Any]:
    def run() -> set[Any]:
        with transaction.atomic(savepoint=False):
            return work()

    return retry_on_transient(run, timeouts=True)


def _without_blocked(rows: list[Notification]) -> list[Notification]:
    actors = {row.actor_id for row in rows if _is_blockable(row)} - {None}
    if not actors:
        return rows
    blocks = set(Block.objects.filter(blocked_id__in=actors).values_list("blocker_id", "blocked_id"))
    return [row for row in rows if (row.user_id, row.actor_id) not in blocks or not _is_blockable(row)]


def _is_blockable(row: Notification) -> bool:
    # (A blocked sender's message is withheld, and no notification is made of it: one query less for all others.)
    of_a_message = row.notification_type == notification_types.NEW_MESSAGE.name and row.message_id is not None
    return notification_types.get(row.notification_type).blockable and not of_a_message
