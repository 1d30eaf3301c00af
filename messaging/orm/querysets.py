"""Bulk changes of messages and notifications: every change marks rows pending, and sends an event after commit."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models.functions import Now

from messaging.events import announce_pending, messages_marked

from .retry import retry_on_transient

if TYPE_CHECKING:
    from messaging.models import Message, Notification  # noqa: F401  # ruff does not see the string in a base class

MESSAGES_PER_TRANSACTION = 500
# Written by sequencing alone: an instance that was read earlier holds values from before.
NUMBERING = frozenset({"revision", "counted", "group_count", "collapsed_into_id", "own_title"})
EXPIRED_PER_CALL = 1_000


def lock_rows(rows: models.QuerySet[Any], column: str = "pk") -> set[Any]:
    """Lock rows in the order of ids, as every writer: in any other, two transactions deadlock. To be called in one.

    Returns their values of this column. (SQLite locks no rows; there the transaction must have begun IMMEDIATE.)
    """
    return set(rows.order_by("pk").select_for_update().values_list(column, flat=True))


def delete_unlocked(rows: models.QuerySet[Any]) -> None:
    """Delete rows that have expired, but none that another transaction deletes already: so this waits for nothing."""
    if rows.exists():
        with transaction.atomic(using=rows.db):
            unlocked = rows.order_by().select_for_update(skip_locked=True).values_list("pk", flat=True)
            rows.filter(pk__in=list(unlocked[:EXPIRED_PER_CALL])).delete()


def batch_after(rows: models.QuerySet[Any], last: Any, column: str, limit: int) -> list[Any]:
    """Return up to `limit` values of a unique column after `last`, in the database's order; from the first if None."""
    following = rows if last is None else rows.filter(**{f"{column}__gt": last})
    return list(following.order_by(column).values_list(column, flat=True)[:limit])


class MessageQuerySet(models.QuerySet["Message"]):
    def between(self, user: Any, other: Any) -> "MessageQuerySet":
        """Messages between two users, in both directions."""
        return self.filter(models.Q(sender=user, receiver=other) | models.Q(sender=other, receiver=user))

    def visible_to(self, user: Any) -> "MessageQuerySet":
        """Messages that this user has sent, or was given."""
        return self.filter(models.Q(sender=user) | models.Q(receiver=user, is_withheld=False))

    def mark_read(self) -> int:
        """Mark these messages read and notify their senders, as saving each would. Returns how many weren't read."""
        return self._mark(is_read=True)

    mark_read.alters_data = True  # type: ignore[attr-defined]

    def mark_unread(self) -> int:
        """Mark these messages, and the notifications of them, unread. Returns how many were read.

        The senders' receipts stay, and a later mark_read creates no second one.
        """
        return self._mark(is_read=False)

    mark_unread.alters_data = True  # type: ignore[attr-defined]

    def _mark(self, *, is_read: bool) -> int:
        unmarked = self.filter(is_read=not is_read, is_withheld=False)
        ids = list(unmarked.order_by("pk").values_list("pk", flat=True))
        count = 0
        for start in range(0, len(ids), MESSAGES_PER_TRANSACTION):
            # Locked in the order of ids, so that two such calls at once never deadlock.
            rows = type(self)(self.model, using=self.db).filter(
                pk__in=ids[start : start + MESSAGES_PER_TRANSACTION], is_read=not is_read
            )
            count += retry_on_transient(functools.partial(self._mark_rows, rows, is_read), timeouts=True)
        return count

    def _mark_rows(self, rows: "MessageQuerySet", is_read: bool) -> int:
        with transaction.atomic(using=self.db):
            found = rows.order_by("pk").select_related("sender", "receiver")
            messages = list(found.select_for_update(of=("self",), no_key=True))
            if messages:
                rows.filter(pk__in=[message.pk for message in messages]).update(is_read=is_read)
                messages_marked.send(sender=self.model, messages=messages, is_read=is_read)
        return len(messages)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete messages, locked first: what Django collects then is all there is, and is locked in one order."""
        with transaction.atomic(using=self.db):
            lock_rows(type(self)(self.model, using=self.db).filter(pk__in=self.values("pk")))
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Living and removed notifications. Changed rows are pending until `assign_revisions` numbers them."""

    def living(self) -> "NotificationQuerySet":
        return self.filter(removed_at=None)

    def presentable(self) -> "NotificationQuerySet":
        """All but new ones of groups, whose text isn't final before they have a revision (messaging/grouping.py)."""
        return self.exclude(group_key__isnull=False, revision=None)

    def update(self, **changes: Any) -> int:
        """Change rows, mark them pending, and send `notifications_pending` after commit."""
        return retry_on_transient(lambda: self._update(changes), timeouts=True)

    def _update(self, changes: dict[str, Any]) -> int:
        with transaction.atomic(using=self.db):
            owners = lock_rows(self.model._base_manager.using(self.db).filter(pk__in=self._ids()), "user_id")
            count = self.mark_pending(**changes)
            # Of the rows that an expression gives to others, the sweep sends the event.
            owner = changes.get("user", changes.get("user_id"))
            owner = owner.pk if isinstance(owner, models.Model) else owner
            if owner is not None and not hasattr(owner, "resolve_expression") and count:
                owners.add(owner)
            announce_pending(owners, using=self.db)
        return count

    def _ids(self) -> models.QuerySet[Any, Any]:
        return self.order_by().values("pk")

    def mark_pending(self, **changes: Any) -> int:
        """Change rows and mark them pending, for a writer that calls `announce_pending` itself."""
        changes = {name: value for name, value in changes.items() if name not in NUMBERING}
        return super().update(**changes | {"pending_since": Now()})

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Soft delete: rows become tombstones, so that every device learns of it. Pruning deletes them later."""
        count = self.living().update(removed_at=Now())
        return count, {self.model._meta.label: count} if count else {}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def hard_delete(self) -> int:
        """Hard delete, without tombstone or event. Only pruning may."""
        return super().delete()[0]

    hard_delete.alters_data = True  # type: ignore[attr-defined]
    hard_delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable["Notification"], *args: Any, **kwargs: Any) -> list["Notification"]:
        rows = list(objs)
        for row in rows:
            row.prepare({"force_insert": True})
        if kwargs.get("update_fields"):
            kwargs["update_fields"] = {*kwargs["update_fields"], "pending_since"} - NUMBERING
        created = super().bulk_create(rows, *args, **kwargs)
        announce_pending({row.user_id for row in created}, using=self.db)
        return created


AllNotifications = models.Manager.from_queryset(NotificationQuerySet)


class LivingNotifications(AllNotifications["Notification"]):
    def get_queryset(self) -> NotificationQuerySet:
        return NotificationQuerySet(self.model, using=self._db).living()
