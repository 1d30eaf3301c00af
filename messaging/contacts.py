"""Contacts: the pairs of users who see each other's presence. This module is the only writer of Contact."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from . import profiles, schemas
from .events import View, views_changed
from .models import Contact

# The ids of two users, the lower one first.
Pair = tuple[int, int]


def pair_of(user_id: int, other_id: int) -> Pair:
    return (user_id, other_id) if user_id < other_id else (other_id, user_id)


def meet(user_id: int, other_id: int) -> None:
    """Make two users contacts: from now on they see each other's presence."""
    low, high = pair_of(user_id, other_id)
    if low == high or Contact.objects.filter(low_id=low, high_id=high).exists():
        return
    Contact.objects.bulk_create([Contact(low_id=low, high_id=high)], ignore_conflicts=True)
    _announce([View(low, high), View(high, low)])


def _announce(views: list[View]) -> None:
    """Announce after commit what these viewers see from now on. To all other contacts nothing has changed."""

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            views_changed.send_robust(sender=Contact, views=views)

    transaction.on_commit(announce, robust=True)


def contacts_of(user_id: int) -> list[int]:
    """Return the ids of this user's contacts: they may see the user's presence, and the user theirs."""
    pairs = Contact.objects.filter(Q(low_id=user_id) | Q(high_id=user_id)).values_list("low_id", "high_id")
    return [high if low == user_id else low for low, high in pairs]


def read_views(pairs: Collection[Pair]) -> tuple[dict[View, schemas.Presence], dict[Pair, datetime]]:
    """Return what the contacts among these pairs see of each other, and when that last changed, in two queries."""
    presence = profiles.presence({user_id for pair in pairs for user_id in pair})
    rows = Contact.objects.filter(
        low_id__in={low for low, _ in pairs}, high_id__in={high for _, high in pairs}
    )
    views: dict[View, schemas.Presence] = {}
    changed: dict[Pair, datetime] = {}
    for low, high, changed_at in rows.values_list("low_id", "high_id", "changed_at"):
        if (low, high) not in pairs:
            continue
        changed[low, high] = changed_at
        for view in (View(low, high), View(high, low)):
            if view.seen in presence:
                views[view] = presence[view.seen]
    return views, changed


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
