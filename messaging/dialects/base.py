"""The functions that both databases have: a module is a Dialect if it defines all of them, and mypy checks that."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db.models import Model

# A notification that has just got its revision: the columns of schemas.NOTIFICATION_COLUMNS, user_id, revision,
# counted, removed_at, actor_username, and was_counted and was_revision from before.
NumberedRow = dict[str, Any]


# What the rows of a revision weigh, together, less one of them: so that its frame, and any replay's, keeps within the
# 512 KiB of docs/protocol.md. A row weighs at least its share; half of it at most, which none can reach.
REVISION_BYTES = 400_000
ROWS_PER_REVISION = 100
MAX_WEIGHT = REVISION_BYTES // 2
# Of a row beside its texts, as JSON; and of the actions that are filled from its data.
ROW_BYTES, ACTION_BYTES = 1_000, 1_500


def weight_sql(row: str, rows_per_revision: int) -> str:
    """Return the weight of a row, of this name, in PostgreSQL: no less than it takes as JSON."""
    texts = " + ".join(f"octet_length({row}.{name})" for name in ("title", "description"))
    nullable = " + ".join(f"COALESCE(octet_length({row}.{name}), 0)" for name in ("url", "group_key"))
    data = f"COALESCE(octet_length({row}.data::text) + {ACTION_BYTES}, 0)"
    weight = f"{ROW_BYTES} + 2 * ({texts} + {nullable}) + {data}"
    return f"GREATEST({min_weight(rows_per_revision)}, LEAST({MAX_WEIGHT}, {weight}))"


def weight_of(row: Mapping[str, Any], rows_per_revision: int) -> int:
    """Return about the same of a row with these columns."""
    texts = sum(len(row[name].encode()) for name in ("title", "description", "url", "group_key") if row[name])
    data = row["data"]
    if data is not None:
        as_json = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        texts += (len(as_json.encode()) + ACTION_BYTES) // 2
    return max(min_weight(rows_per_revision), min(MAX_WEIGHT, ROW_BYTES + 2 * texts))


def min_weight(rows_per_revision: int) -> int:
    return -(-REVISION_BYTES // rows_per_revision)


def is_new_in_group(row: NumberedRow) -> bool:
    return row["group_key"] is not None and row["was_revision"] is None


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

        Returns them in the order of the inboxes, and of ids. They are locked, and stored unless one of them is new in
        a group: then nothing is, so that `store_collapsed` is their only UPDATE. For one that the same transaction has
        updated before, PostgreSQL checks its foreign keys again, and so waits for a user who is being deleted.
        """

    def store_inboxes(self, inboxes: Mapping[Any, InboxState]) -> None:
        """Store the state of these locked inboxes."""

    def store_collapsed(self, rows: Collection[NumberedRow]) -> None:
        """Store what `number_rows` does, and the group, of these rows of locked inboxes, which this transaction holds.

        Those with `collapsed_into_id` leave with it, those with `group_title` get it, and keep their own aside.
        """

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
