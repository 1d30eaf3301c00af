"""Reads the changes of presence since a point in time, so that a periodic sweep misses none."""

from datetime import datetime
from typing import Any

from .dialects import dialect
from .models import Contact, UserProfile


def horizon() -> datetime:
    """Return the time at which the next sweep must begin: every change with an earlier one is visible already.

    1. A row gets its `changed_at` when it is written.
    2. It becomes visible when its transaction commits: an hour later, perhaps, and after a sweep in between.

    A sweep that began at the time of the last one would never see that row. The horizon is no later than the
    beginning of the oldest transaction that is open now.
    """
    return dialect().presence_horizon()


def changed_since(moment: datetime) -> dict[Any, int]:
    """Return the versions, by user id, of the profiles that changed at or after this time of the database's clock."""
    return dict(UserProfile.objects.filter(changed_at__gte=moment).values_list("user_id", "version"))


def pairs_changed_since(moment: datetime) -> dict[tuple[Any, Any], datetime]:
    """Return the pairs whose view of each other began or changed at or after that time, and when."""
    rows = Contact.objects.filter(changed_at__gte=moment).values_list("low_id", "high_id", "changed_at")
    return {(low, high): changed_at for low, high, changed_at in rows}
