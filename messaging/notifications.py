"""The writers of notifications: creating, marking and removing them. Only pruning and sequencing write them as well.

A writer marks rows pending inside the caller's transaction; `assign_revisions` numbers them after commit. Why not a
counter in the writer, or the rows' ids: docs/architecture.md, "Revisions are assigned after commit".
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db import transaction
from django.db.models.functions import Now
from pydantic import BaseModel

from messaging.orm.asynchronous import asynchronous
from messaging.orm.querysets import NotificationQuerySet
from messaging.orm.retry import retry_on_transient

from .drafts import Draft, Recipients
from .events import announce_pending
from .exceptions import UnknownUser
from .models import Message, Notification
from .references import User, notification_ids, several, user_id
from .sequencing import Revision, assign_revisions
from .storing import create, log_rows, store
from .text_templates import Text

__all__ = [
    "Revision",
    "anotify",
    "anotify_many",
    "assign_revisions",
    "create",
    "mark_read",
    "mark_rows_read",
    "mark_rows_unread",
    "mark_unread",
    "notify",
    "notify_many",
    "remove",
    "remove_rows",
    "store",
]

R = TypeVar("R")
# Of JSON, or of what the type's model takes; or an instance of that.
Data = dict[str, Any] | BaseModel | None

ROWS_PER_UPDATE = 1_000


def notify(
    user: User,
    notification_type: str,
    title: Text | None = None,
    description: Text = "",
    *,
    level: str | None = None,
    url: Text | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: Text | None = None,
    data: Data = None,
) -> Notification | None:
    """Notify one user, on every device, once the current transaction has committed.

    `user`, `actor`: a user or its id. `notification_type`: a declared type's name. `title`: 1 to 200 characters
    that show something, `description`: up to 500; neither has control characters or overrides the direction of text.
    Those that aren't given are the type's own, filled from `data`, a JSON object that other programs get as well. Texts
    may be lazy: they are stored in the user's language, whichever is active. `level`: info, success, warning or error;
    the type's own if None. `url`: relative, http or https. `actor` and `message` are left out if they don't exist any
    more. With a `dedupe_key` (up to 200 characters) the user gets the notification once, however often this is called.

        notify(ada, "announcement", "Doorbell is here", url="/news/1/")

    Returns the notification, or None if one with that dedupe_key exists, or the user has blocked the actor. Raises
    UnknownNotificationType, InvalidNotification and UnknownUser, and then stores nothing and leaves the current
    transaction intact.
    Other programs use `POST /api/v1/publish`.
    """
    rows = [
        build(
            user,
            notification_type,
            title,
            description,
            level=level,
            url=url,
            actor=actor,
            message=message,
            dedupe_key=dedupe_key,
            data=data,
        )
    ]
    created, unknown = store(rows)
    if unknown:
        raise UnknownUser(f"There is no user with the id {rows[0].user_id}.")
    return created[0] if created else None


def notify_many(
    users: Iterable[User],
    notification_type: str,
    title: Text | None = None,
    description: Text = "",
    *,
    level: str | None = None,
    url: Text | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: Text | None = None,
    data: Data = None,
) -> list[Notification]:
    """Send many users the same notification: `notify` for one or for many thousands, in one insert per 2,000.

    `users`: users or their ids, a queryset for example. A user who occurs twice is notified twice, except with a
    `dedupe_key`, which is unique per user; one who doesn't exist any more is left out. The other arguments and the
    errors are those of `notify`.

        notify_many(User.objects.filter(is_active=True), "announcement", "Tonight we update", dedupe_key="update-7")

    All are stored in one transaction, or none: for very many users there is `broadcasting.broadcast`. Returns the
    created notifications: none for users who have one with that dedupe_key, or have blocked the actor.
    """
    draft = Draft(
        notification_type,
        title,
        description,
        level=level,
        url=url,
        actor=actor,
        message=message,
        dedupe_key=dedupe_key,
        data=data,
    )
    return create(draft.rows(several(users)))


# The same from async code, an async view or consumer: `await anotify(ada, "announcement", "Doorbell is here")`.
anotify = asynchronous(notify)
anotify_many = asynchronous(notify_many)


def build(
    user: User,
    notification_type: str,
    title: Text | None = None,
    description: Text = "",
    *,
    level: str | None = None,
    url: Text | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: Text | None = None,
    data: Data = None,
    recipients: Recipients | None = None,
) -> Notification:
    """Build a validated notification without storing it. See `notify` for arguments and errors.

    `recipients`: of one of several notifications, those of all of them.
    """
    draft = Draft(
        notification_type,
        title,
        description,
        level=level,
        url=url,
        actor=actor,
        message=message,
        dedupe_key=dedupe_key,
        data=data,
    )
    return draft.row(user, recipients)


def mark_read(user: User, ids: Iterable[Notification | int] | None = None) -> list[int]:
    """Mark a user's notifications read, these or all. Returns the ids that this call changed.

    `ids`: notifications or their ids, a queryset for example. A thousand are changed per
    transaction (unless the caller is in one), so that no other writer waits long for a row.
    """
    rows = _rows_of(user, is_read=False)
    chosen = rows.values_list("id", flat=True) if ids is None else notification_ids(ids)
    return _change(rows, chosen, {"is_read": True})


def mark_unread(user: User, ids: Iterable[Notification | int]) -> list[int]:
    """Mark a user's notifications unread. Returns the ids that this call changed."""
    return _change(_rows_of(user, is_read=True), notification_ids(ids), {"is_read": False})


def remove(user: User, ids: Iterable[Notification | int]) -> list[int]:
    """Remove a user's notifications from every device. Returns the ids that this call removed."""
    return _change(_rows_of(user), notification_ids(ids), {"removed_at": Now()})


def mark_rows_read(rows: NotificationQuerySet) -> int:
    """Mark these notifications read, of any users. Returns how many this call changed."""
    return _change_rows(rows, {"is_read": False}, {"is_read": True})


def mark_rows_unread(rows: NotificationQuerySet) -> int:
    """Mark these notifications unread, of any users. Returns how many this call changed."""
    return _change_rows(rows, {"is_read": True}, {"is_read": False})


def remove_rows(rows: NotificationQuerySet) -> int:
    """Remove these notifications from every device, of any users. Returns how many this call removed."""
    return _change_rows(rows, {}, {"removed_at": Now()})


def _transaction(work: Callable[[], R]) -> R:
    """Do this in the current transaction, or in one of its own, which is then repeated after a transient error."""

    def run() -> R:
        with transaction.atomic(savepoint=False):
            return work()

    return retry_on_transient(run, timeouts=True)


def _rows_of(user: User, **condition: Any) -> NotificationQuerySet:
    return Notification.objects.filter(user_id=user_id(user), **condition)


def _change_rows(rows: NotificationQuerySet, condition: dict[str, Any], changes: dict[str, Any]) -> int:
    ids = rows.living().filter(**condition).order_by().values_list("id", flat=True)
    return len(_change(Notification.objects.filter(**condition), ids, changes))


def _change(rows: NotificationQuerySet, ids: Iterable[int], changes: dict[str, Any]) -> list[int]:
    """Change those of these living rows that have one of these ids. Returns the ids changed."""
    ordered, changed = sorted(set(ids)), list[int]()
    for start in range(0, len(ordered), ROWS_PER_UPDATE):
        chosen = rows.filter(id__in=ordered[start : start + ROWS_PER_UPDATE])
        changed += _transaction(functools.partial(_change_chosen, chosen, changes))
    return changed


def _change_chosen(chosen: NotificationQuerySet, changes: dict[str, Any]) -> list[int]:
    # In the order of ids, so that two such calls at once never deadlock.
    locked = chosen.order_by("id").select_for_update(no_key=True)
    owners = dict(locked.values_list("id", "user_id"))
    if owners:
        Notification.everything.filter(id__in=owners).mark_pending(**changes)
        announce_pending(set(owners.values()))
        log_rows("changed", list(owners))
    return list(owners)
