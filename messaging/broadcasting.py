"""Broadcasts: the same notification for very many users, in batches that are committed one after the other.

The first are notified while the last are still to be stored; memory doesn't grow with their number. What is stored in
one batch, and numbered, is for storing.py. One that was interrupted is started again by its caller, with the same key.
"""

import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet
from django.db.models.query import ModelIterable
from django.db.transaction import TransactionManagementError

from messaging.orm.asynchronous import asynchronous_iteration
from messaging.orm.querysets import batch_after

from . import users as user_model
from .drafts import Draft
from .events import announce_pending, batch_committed
from .exceptions import InvalidNotification
from .models import Message
from .notifications import Data
from .references import User, iterable, user_id
from .sequencing import assign_pending
from .storing import create, store_same
from .text_templates import Text

# What one holds up others for: their inboxes are locked for as long as the statement takes.
USERS_PER_BATCH = 250
# Of the time that a batch took: the rest of the processor, and of the database, is for everything else.
PAUSE_SHARE = 0.5


class Progress(NamedTuple):
    """How many users a broadcast has been through, of how many when it began: None if that wasn't known."""

    done: int
    total: int | None


def broadcast(
    users: Iterable[User],
    notification_type: str,
    title: Text | None = None,
    description: Text = "",
    *,
    key: Text,
    level: str | None = None,
    url: Text | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    data: Data = None,
) -> "Broadcast":
    """Send very many users the same notification: `notify_many` in batches, each committed before the next.

    `users`: a queryset of users, which is read batch by batch in the order of their keys; or any other iterable of
    users or their ids. `key`: as `dedupe_key` of `notify`. Each user has a notification with this key once at most, so
    a broadcast that was interrupted is simply started again with the same one. The other arguments, the errors and who
    is left out are those of `notify_many`.

        for done, total in broadcast(User.objects.filter(is_active=True), "announcement", "Noon", key="noon-7"):
            print(f"{done} of {total}")

    Or, without the progress, `broadcast(…).run()`. Nothing is sent before it is iterated over. Raises
    TransactionManagementError inside a transaction, which would hold back every batch until its end.
    """
    draft = Draft(
        notification_type,
        title,
        description,
        level=level,
        url=url,
        actor=actor,
        message=message,
        dedupe_key=key,
        data=data,
    )
    if draft.dedupe_key is None:
        raise InvalidNotification(
            "A broadcast needs a key: with it, one that was interrupted can be started again."
        )
    refuse_transaction()
    return Broadcast(users, draft)


class Broadcast(Iterator[Progress]):
    """One that `broadcast` has made: each step sends one batch, and returns the progress."""

    _begun = True

    def __init__(self, users: Iterable[User], draft: Draft) -> None:
        self._draft = draft
        self._batches, total = _batches(users)
        self._progress = Progress(0, total)
        self._pause = 0.0
        self._begun = False

    def __next__(self) -> Progress:
        self._begun = True
        batch = next(self._batches)
        time.sleep(self._pause)
        began = time.monotonic()
        send_batch(batch, self._draft)
        self._pause = PAUSE_SHARE * (time.monotonic() - began)
        self._progress = self._progress._replace(done=self._progress.done + len(batch))
        return self._progress

    def run(self) -> Progress:
        """Send all batches that are left. Returns the last progress."""
        for _ in self:
            pass
        return self._progress

    def __del__(self) -> None:
        if not self._begun:
            text = "broadcast() was never iterated over, and sent nothing: use it in a for loop, or call its run()."
            warnings.warn(text, RuntimeWarning, stacklevel=2, source=self)


# The same from async code: `async for done, total in abroadcast(…)`.
abroadcast = asynchronous_iteration(broadcast)


def send_batch(user_ids: list[Any], draft: Draft) -> None:
    """Notify these users, USERS_PER_BATCH at most, outside of transactions: in one statement for each language."""
    refuse_transaction()
    pending: set[Any] = set()
    if draft.is_personal:
        created = create(draft.rows(user_ids))
        pending = {row.user_id for row in created if row.revision is None}
    else:
        for same, of_users in draft.by_columns(user_ids):
            pending |= store_same(of_users, same)
    if connection.in_atomic_block:
        # A test's transaction.
        announce_pending(pending)
    elif pending:
        # Here and not by a listener of notifications_pending: so a broadcast goes no faster than delivery.
        assign_pending(pending)
    batch_committed.send_robust(sender=Broadcast)


def refuse_transaction() -> None:
    blocks: Any = connection.atomic_blocks
    # The transaction of Django's TestCase doesn't count, as with atomic(durable=True).
    if not blocks[-1]._from_testcase if blocks else not connection.get_autocommit():
        raise TransactionManagementError(
            "broadcast() can't be called inside a transaction: it commits batch by batch, so that the first users hear "
            "while the last are stored, and one that was interrupted goes on. Call it outside of atomic(), or after "
            "commit: transaction.on_commit(lambda: broadcast(…).run()). Within a transaction there is notify_many()."
        )


def _batches(users: Iterable[User]) -> tuple[Iterator[list[Any]], int | None]:
    """Return the ids of these users in batches, and how many there are, if that is known."""
    if isinstance(users, QuerySet) and _can_be_filtered(users):
        return _batches_by_key(users), users.order_by().values(user_model.key_name()).distinct().count()
    if isinstance(users, QuerySet):
        # Never all of its rows at once.
        return _batches_of(users.iterator(chunk_size=USERS_PER_BATCH)), users.count()
    given = iterable(users)
    return _batches_of(iter(given)), len(given) if isinstance(given, Sized) else None


def _can_be_filtered(users: "QuerySet[Any]") -> bool:
    """Return whether it is one of users, and neither of their values, sliced, nor combined with others."""
    model = user_model.concrete_model()
    plain = not (users.query.is_sliced or users.query.combinator or users.query.distinct_fields)
    return plain and issubclass(users.model, model) and issubclass(users._iterable_class, ModelIterable)


def _batches_by_key(users: "QuerySet[Any]") -> Iterator[list[Any]]:
    """Yield them batch by batch: each query begins after the last key, so that no cursor stays open."""
    last: Any = None
    while batch := batch_after(users, last, user_model.key_name(), USERS_PER_BATCH):
        last = batch[-1]
        # One who occurs several times, by a join, is one.
        yield list(dict.fromkeys(batch))


def _batches_of(users: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(users, USERS_PER_BATCH)):
        yield list(dict.fromkeys(user_id(user) for user in batch))
