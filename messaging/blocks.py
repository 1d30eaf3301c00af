"""Blocking: the only writer of Block. Nothing of the blocked one reaches the blocker, unnoticed by the blocked one.

Presence is contacts.py's part, withheld messages are signals.py's, notifications notifications.py's.
"""

from typing import Any

from django.db import transaction

from . import contacts, profiles
from .exceptions import UnknownUser
from .models import Block


def block(blocker_id: Any, blocked_id: Any) -> Block:
    """Block a user, if that isn't so already. Raises UnknownUser if one of the two has been deleted."""
    with transaction.atomic():
        # contacts.meet takes the same locks.
        locked = profiles.lock([blocker_id, blocked_id])
        if len(locked) < 2:
            raise UnknownUser
        row, created = Block.objects.get_or_create(blocker_id=blocker_id, blocked_id=blocked_id)
        if created:
            contacts.freeze(locked)
    return row


def unblock(blocker_id: Any, blocked_id: Any) -> bool:
    """Unblock a user. Returns whether they were blocked."""
    with transaction.atomic():
        locked = profiles.lock([blocker_id, blocked_id])
        deleted, _ = Block.objects.filter(blocker_id=blocker_id, blocked_id=blocked_id).delete()
        reverse = Block.objects.filter(blocker_id=blocked_id, blocked_id=blocker_id)
        # (With one of the two deleted, there is no pair left.)
        if deleted and len(locked) == 2 and not reverse.exists():
            contacts.thaw(locked)
    return deleted > 0
