"""The domain's events, as Django signals. The domain doesn't know who listens.

All but `messages_marked` are sent after commit, so what they say is committed.
"""

from typing import NamedTuple

from django.apps import apps
from django.db import transaction
from django.dispatch import Signal


class View(NamedTuple):
    """What one user, the viewer, sees of another. Both are ids."""

    seen: int
    viewer: int


# messages: list[Message], is_read: bool. Marked in one call, in the transaction that is still open.
messages_marked = Signal()
# user_ids: set[int]. Users with pending notifications: changed rows that have no revision for the change yet.
notifications_pending = Signal()
# revisions: list[notifications.Revision]. Just assigned, in rising order for each user.
revisions_assigned = Signal()
# users: list[int]. Users whose presence has changed, for all of their contacts.
presence_changed = Signal()
# views: list[View]. What these viewers see of a contact has changed, for them alone.
views_changed = Signal()
# views: list[View]. Those seen are online, and are shown again to these online viewers alone.
shown_online = Signal()
# user: schemas.User, versions: dict[int, int]. A user who was shown online has been deleted: to each of these contacts
# it is to look, with this version, as if they had gone offline.
shown_user_deleted = Signal()
# users: list[int]. Users some or all of whose logins have ended.
logins_ended = Signal()
# online, offline: list[int]. Those of them who came online or went offline.
status_changed = Signal()


def announce_pending(user_ids: set[int], using: str | None = None) -> None:
    """Send `notifications_pending` for these users after commit."""
    if user_ids:
        transaction.on_commit(lambda: _send_pending(user_ids, using), using=using, robust=True)


def _send_pending(user_ids: set[int], using: str | None) -> None:
    # on-commit hooks run inside a transaction in tests only, and then nothing has been committed.
    if not transaction.get_connection(using).in_atomic_block:
        sender = apps.get_model("messaging", "Notification")
        notifications_pending.send_robust(sender=sender, user_ids=user_ids)


def announce_ended_logins(user_id: int) -> None:
    """Send `logins_ended` for this user after commit."""
    transaction.on_commit(lambda: logins_ended.send_robust(sender=None, users=[user_id]), robust=True)
