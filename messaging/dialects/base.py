"""The functions that both databases have: a module is a Dialect if it defines all of them, and mypy checks that."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db.models import Model

# A notification that has just got its revision: the columns of schemas.NOTIFICATION_COLUMNS, user_id, revision,
# counted, removed_at, actor_username, and was_counted and was_revision from before.
NumberedRow = dict[str, Any]


class InboxState(NamedTuple):
    revision: int
    unread_count: int


class Dialect(Protocol):
    """All but the last two are to be called in a transaction."""

    def lock_inboxes(self, user_ids: list[Any], *, wait_seconds: float | None) -> dict[Any, InboxState]:
        """Lock these users' inboxes, in the database's order of keys, in which they are returned.

        In any other, two transactions that wait deadlock.

        Without `wait_seconds` inboxes locked by another transaction are left out; with it each is waited for that
        long at most, then OperationalError.
        """

    def limit_lock_wait(self, seconds: float) -> None:
        """Have each lock waited for so long at most until the end of this transaction, then OperationalError."""

    def number_rows(
        self, inboxes: Mapping[Any, InboxState], *, limit: int, rows_per_revision: int
    ) -> list[NumberedRow]:
        """Give pending rows of these locked inboxes their revisions, and count the unread ones. At most `limit` rows.

        Returns them in the order of the inboxes, and of ids.
        """

    def store_inboxes(self, inboxes: Mapping[Any, InboxState]) -> None:
        """Store the state of these locked inboxes."""

    def raise_floors(self, floors: Mapping[Any, int]) -> None:
        """Raise the `floor` of these locked inboxes (user id: floor), where it is lower.

        In SQL: the ORM takes ten times as long, under the locks.
        """

    def lock_against_deletion(self, model: type[Model], pk: Any, *, wait_seconds: float) -> bool:
        """Keep a row from being deleted until this transaction ends. Returns whether it exists.

        If another transaction is deleting it, that is waited for so long at most, then OperationalError.
        """

    def presence_horizon(self) -> datetime:
        """Return a time such that every presence change with an earlier `changed_at` is visible already."""

    def join_notifications(self, ids: str) -> str:
        """Return a LEFT JOIN of the notifications `n` whose ids this query, which may refer to each row, returns."""
