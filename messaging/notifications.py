"""The writers of notifications: creating, marking and removing them. Only pruning and sequencing write them as well.

A writer marks rows pending inside the caller's transaction; `assign_revisions` numbers them after commit. Why not a
counter in the writer, or the rows' ids: docs/architecture.md, "Revisions are assigned after commit".
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.db.models.functions import Now

from messaging.orm.fields import known_level, safe_url
from messaging.orm.querysets import NotificationQuerySet

from . import notification_types, texts
from .events import announce_pending
from .exceptions import InvalidNotification
from .models import Message, Notification
from .sequencing import Revision, assign_revisions

__all__ = [
    "Revision",
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
]

type_of = notification_types.get
User = AbstractBaseUser | int

INSERTED_COLUMNS = (
    "user_id",
    "message_id",
    "actor_id",
    "notification_type",
    "title",
    "description",
    "level",
    "url",
    "is_read",
    "dedupe_key",
)
# SQLite takes 32,766 values in a statement.
ROWS_PER_INSERT = 2_000
ROWS_PER_UPDATE = 1_000


def notify(
    user: User,
    notification_type: str,
    title: str,
    description: str = "",
    *,
    level: str | None = None,
    url: str | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: str | None = None,
) -> Notification | None:
    """Notify one user, on every device, once the current transaction has committed.

    `user`, `actor`: a user or its id. `notification_type`: a declared type's name. `title`: 1 to 200 characters
    that show something, `description`: up to 500; neither has control characters or overrides the direction of text.
    `level`: info, success, warning or error; the type's own if None. `url`: relative, http or https. With a
    `dedupe_key` (up to 200 characters) the user gets the notification once, however often this is called.

        notify(ada, "announcement", "Doorbell is here", url="/news/1/")

    Returns the notification, or None if one with that dedupe_key exists. Raises UnknownNotificationType and
    InvalidNotification, and then stores nothing; an unknown user's id raises IntegrityError, at commit at the latest.
    Other programs use `POST /api/v1/publish`.
    """
    rows = notify_many(
        [user],
        notification_type,
        title,
        description,
        level=level,
        url=url,
        actor=actor,
        message=message,
        dedupe_key=dedupe_key,
    )
    return rows[0] if rows else None


def notify_many(
    users: Iterable[User],
    notification_type: str,
    title: str,
    description: str = "",
    *,
    level: str | None = None,
    url: str | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: str | None = None,
) -> list[Notification]:
    """Send many users the same notification: `notify` for one or for many thousands, in one insert per 2,000.

    `users`: users or their ids, a queryset for example. A user who occurs twice is notified twice, except with a
    `dedupe_key`, which is unique per user. The other arguments and the errors are those of `notify`.

        notify_many(User.objects.filter(is_active=True), "announcement", "Tonight we update", dedupe_key="update-7")

    All are stored in one transaction, or none. Returns the created notifications: none for users who have one with that
    dedupe_key.
    """
    return create(
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
        )
        for user in users
    )


def build(
    user: User,
    notification_type: str,
    title: str,
    description: str = "",
    *,
    level: str | None = None,
    url: str | None = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: str | None = None,
) -> Notification:
    """Build a validated notification without storing it. See `notify` for arguments and errors."""
    declared = type_of(notification_type)
    return Notification(
        user_id=_pk_of(user),
        notification_type=declared.name,
        title=_checked_title(title),
        description=_checked_text("description", description, 0, 500),
        level=known_level(declared.level if level is None else level),
        url=safe_url(url),
        actor_id=_pk_of(actor),
        message_id=_pk_of(message),
        is_read=declared.presence_like,
        dedupe_key=None if dedupe_key is None else _checked_text("dedupe_key", dedupe_key, 1, 200),
    )


def create(rows: Iterable[Notification]) -> list[Notification]:
    """Insert notifications from `build`, in the current transaction. Returns those that didn't exist already."""
    rows = list(rows)
    created: list[Notification] = []
    with transaction.atomic(savepoint=False):
        for start in range(0, len(rows), ROWS_PER_INSERT):
            created += _insert(rows[start : start + ROWS_PER_INSERT])
    announce_pending({row.user_id for row in created})
    return created


def _insert(rows: Sequence[Notification]) -> list[Notification]:
    # The ORM's ignore_conflicts doesn't return what it inserted; catching its error needs a savepoint per insert.
    values = [[getattr(row, column) for column in INSERTED_COLUMNS] for row in rows]
    places = "({})".format(", ".join(["%s"] * len(INSERTED_COLUMNS)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Notification._meta.db_table} ({', '.join(INSERTED_COLUMNS)})"  # noqa: S608
            f" VALUES {', '.join([places] * len(rows))}"
            " ON CONFLICT (user_id, dedupe_key) DO NOTHING RETURNING id, user_id, dedupe_key",
            [value for row in values for value in row],
        )
        inserted = cursor.fetchall()
    # A row without a key is always inserted, so rows without one are matched in order, the others by their key.
    keyed = {(user_id, key): pk for pk, user_id, key in inserted if key is not None}
    unkeyed: dict[int, list[int]] = {}
    for pk, user_id, key in inserted:
        if key is None:
            unkeyed.setdefault(user_id, []).append(pk)
    created = []
    for row in rows:
        if row.dedupe_key is None:
            pk = unkeyed[row.user_id].pop(0)
        else:
            pk = keyed.pop((row.user_id, row.dedupe_key), None)
        if pk is not None:
            row.pk = pk
            row._state.adding, row._state.db = False, connection.alias
            # Set by the database: deferred until they are read.
            del row.created_at, row.pending_since, row.counted
            created.append(row)
    return created


def mark_read(user: User, ids: Collection[int] | None = None) -> list[int]:
    """Mark a user's notifications read, those with these ids or all. Returns the ids that this call changed.

    A thousand are changed per transaction (unless the caller is in one), so that no other writer waits long for a row.
    """
    return _change_of(user, ids, {"is_read": False}, {"is_read": True})


def mark_unread(user: User, ids: Collection[int]) -> list[int]:
    """Mark a user's notifications unread. Returns the ids that this call changed."""
    return _change_of(user, ids, {"is_read": True}, {"is_read": False})


def remove(user: User, ids: Collection[int]) -> list[int]:
    """Remove a user's notifications from every device. Returns the ids that this call removed."""
    return _change_of(user, ids, {}, {"removed_at": Now()})


def mark_rows_read(rows: NotificationQuerySet) -> int:
    """Mark these notifications read, of any users. Returns how many this call changed."""
    return _change_rows(rows, {"is_read": False}, {"is_read": True})


def mark_rows_unread(rows: NotificationQuerySet) -> int:
    """Mark these notifications unread, of any users. Returns how many this call changed."""
    return _change_rows(rows, {"is_read": True}, {"is_read": False})


def remove_rows(rows: NotificationQuerySet) -> int:
    """Remove these notifications from every device, of any users. Returns how many this call removed."""
    return _change_rows(rows, {}, {"removed_at": Now()})


def _change_of(
    user: User, ids: Collection[int] | None, condition: dict[str, Any], changes: dict[str, Any]
) -> list[int]:
    rows = Notification.objects.filter(user_id=_pk_of(user), **condition)
    return _change(rows, rows.values_list("id", flat=True) if ids is None else ids, changes)


def _change_rows(rows: NotificationQuerySet, condition: dict[str, Any], changes: dict[str, Any]) -> int:
    ids = rows.living().filter(**condition).order_by().values_list("id", flat=True)
    return len(_change(Notification.objects.filter(**condition), ids, changes))


def _change(rows: NotificationQuerySet, ids: Iterable[int], changes: dict[str, Any]) -> list[int]:
    """Change those of these living rows that have one of these ids. Returns the ids changed."""
    ordered, changed = sorted(set(ids)), list[int]()
    for start in range(0, len(ordered), ROWS_PER_UPDATE):
        chosen = rows.filter(id__in=ordered[start : start + ROWS_PER_UPDATE])
        with transaction.atomic():
            # In the order of ids, so that two such calls at once never deadlock.
            locked = chosen.order_by("id").select_for_update(no_key=True)
            owners = dict(locked.values_list("id", "user_id"))
            if owners:
                Notification.everything.filter(id__in=owners).mark_pending(**changes)
                announce_pending(set(owners.values()))
        changed += owners
    return changed


def _pk_of(thing: Any) -> Any:
    return getattr(thing, "pk", thing)


def _checked_text(name: str, text: Any, min_length: int, max_length: int) -> str:
    if not isinstance(text, str) or not min_length <= len(text) <= max_length:
        raise InvalidNotification(f"The {name} must be a text of {min_length} to {max_length} characters.")
    if fault := texts.fault_of(text):
        raise InvalidNotification(f"The {name} {fault}.")
    return text


def _checked_title(text: Any) -> str:
    checked = _checked_text("title", text, 1, 200)
    if not texts.shows_something(checked):
        raise InvalidNotification("The title shows nothing: it has only blanks and invisible characters.")
    return checked
