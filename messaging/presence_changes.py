"""What has changed in presence since a moment, so that no change is passed over: for whoever tells of it late."""

from datetime import datetime

from .dialects import dialect
from .models import Contact, UserProfile


def horizon() -> datetime:
    """Return the time such that every change of presence with an earlier one can be seen already.

    A row gets its `changed_at` when it is written, and is seen when that transaction commits: there may be an hour
    between.
    """
    return dialect().presence_horizon()


def changed_since(moment: datetime) -> dict[int, int]:
    """Return the versions of the profiles that changed from that moment of the database's clock on, by user id."""
    return dict(UserProfile.objects.filter(changed_at__gte=moment).values_list("user_id", "version"))


def met_since(moment: datetime) -> set[tuple[int, int]]:
    """Return the pairs of people who met from that moment of the database's clock on."""
    return set(Contact.objects.filter(met_at__gte=moment).values_list("low_id", "high_id"))
