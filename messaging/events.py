"""The domain's events, as Django signals. The domain doesn't know who listens.

All but `messages_marked` are sent after commit, so what they say is committed.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from django.apps import apps
from django.db import transaction
from django.dispatch import Signal

from . import users


class View(NamedTuple):
    """What one user, the viewer, sees of another. Both are keys."""

    seen: Any
    viewer: Any


# messages: list[Message], is_read: bool. Marked in one call, in the transaction that is still open.
messages_marked = Signal()
# user_ids: set of keys. Users with pending notifications: changed rows that have no revision for the change yet.
notifications_pending = Signal()
# revisions: list[notifications.Revision]. Just assigned, in rising order for each user.
revisions_assigned = Signal()
# A batch of a broadcast has been committed. A receiver may wait until it is on its way: the next one comes after it.
batch_committed = Signal()
# users: list of keys. Users whose presence has changed, for all of their contacts.
presence_changed = Signal()
# views: list[View]. What these viewers see of a contact has changed, for them alone.
views_changed = Signal()
# views: list[View]. Those seen are online, and are shown again to these online viewers alone.
shown_online = Signal()
# user: schemas.User, versions: int by key. A user who was shown online has been deleted: to each of these contacts
# it is to look, with this version, as if they had gone offline.
shown_user_deleted = Signal()
# users: list of keys. Users some or all of whose logins have ended.
logins_ended = Signal()
# online, offline: lists of keys. Those of them who came online or went offline.
status_changed = Signal()


def announce_pending(user_ids: Collection[Any], using: str | None = None) -> None:
    """Send `notifications_pending` for these users after commit."""
    if user_ids:
        # A row may hold its owner's key as it was given.
        keys = set(users.as_keys(user_ids))
        transaction.on_commit(lambda: _send_pending(keys, using), using=using, robust=True)


def _send_pending(user_ids: set[Any], using: str | None) -> None:
    # on-commit hooks run inside a transaction in tests only, and then nothing has been committed.
    if not transaction.get_connection(using).in_atomic_block:
        sender = apps.get_model("messaging", "Notification")
        notifications_pending.send_robust(sender=sender, user_ids=user_ids)


def announce_ended_logins(user_id: Any) -> None:
    """Send `logins_ended` for this user after commit."""
    transaction.on_commit(lambda: logins_ended.send_robust(sender=None, users=[user_id]), robust=True)
