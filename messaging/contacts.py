"""Contacts: the pairs of users who see each other's presence. This module is the only writer of Contact."""

from collections.abc import Collection

from django.db.models import Q

from .models import Contact
from .profiles import announce_presence


def meet(user_id: int, other_id: int) -> None:
    """Make two users contacts: from now on they see each other's presence."""
    low, high = sorted((user_id, other_id))
    if low == high or Contact.objects.filter(low_id=low, high_id=high).exists():
        return
    Contact.objects.bulk_create([Contact(low_id=low, high_id=high)], ignore_conflicts=True)
    announce_presence([low, high])


def contacts_of(user_id: int) -> list[int]:
    """Return the ids of this user's contacts: they may see the user's presence, and the user theirs."""
    pairs = Contact.objects.filter(Q(low_id=user_id) | Q(high_id=user_id)).values_list("low_id", "high_id")
    return [high if low == user_id else low for low, high in pairs]


def contacts_of_many(user_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the contacts of each of these users, in one query."""
    wanted = set(user_ids)
    found: dict[int, list[int]] = {user_id: [] for user_id in wanted}
    pairs = Contact.objects.filter(Q(low_id__in=wanted) | Q(high_id__in=wanted))
    for low, high in pairs.values_list("low_id", "high_id"):
        if low in wanted:
            found[low].append(high)
        if high in wanted:
            found[high].append(low)
    return found


def online_contacts(user_ids: Collection[int], *, limit: int) -> list[tuple[int, int]]:
    """Return up to `limit` pairs of one of these users and an online contact, hidden or not, in one query."""
    pairs = []
    for own, other in (("low", "high"), ("high", "low")):
        online = {f"{other}__profile__is_online": True, f"{other}__is_active": True}
        rows = Contact.objects.filter(**{f"{own}__in": user_ids}, **online)
        pairs.append(rows.values_list(f"{own}_id", f"{other}_id"))
    return list(pairs[0].union(pairs[1], all=True)[:limit])
