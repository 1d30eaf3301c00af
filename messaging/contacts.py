"""Contacts: the pairs of users who see each other's presence, and what each sees. The only writer of Contact.

Of a frozen pair, in which one has blocked the other, each sees the other as a hidden user, whatever the other does.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from . import audience, names, profiles, schemas, users
from .events import View, shown_online, views_changed
from .models import Block, Contact, Message, UserProfile

# The keys of two users, the lower one first.
Pair = tuple[Any, Any]
# (own, other): a user's columns in a row, and the contact's.
SIDES = (("low", "high"), ("high", "low"))
UNFROZEN = Q(low_version=None, high_version=None)


def pair_of(user_id: Any, other_id: Any) -> Pair:
    """Return the pair in Python's order, which the constraint `messaging_contact_ordered` has, too."""
    return (user_id, other_id) if user_id < other_id else (other_id, user_id)


# --- Meeting, and blocking ---------------------------------------------------------------------------------------


class Relation(NamedTuple):
    """What a message depends on. `language`: the receiver's profile's, if it was read with it."""

    are_contacts: bool
    is_blocked: bool
    language: str | None = None


def relation(sender_id: Any, receiver_id: Any) -> Relation:
    """Return what a message between these two depends on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.low_version, c.high_version, p.language FROM {Contact._meta.db_table} c"  # noqa: S608
            f" LEFT JOIN {UserProfile._meta.db_table} p ON p.user_id = %s WHERE c.low_id = %s AND c.high_id = %s",
            users.to_db([receiver_id, *pair_of(sender_id, receiver_id)]),
        )
        row = cursor.fetchone()
    # A pair that isn't frozen has no block: one query for nearly every message.
    if row is not None and row[:2] == (None, None):
        return Relation(are_contacts=True, is_blocked=False, language=row[2] or "")
    is_blocked = Block.objects.filter(blocker_id=receiver_id, blocked_id=sender_id).exists()
    return Relation(row is not None, is_blocked)


def meet(sender_id: Any, receiver_id: Any) -> None:
    """One user has written to another: make them contacts, or only if both have, as REALTIME_CONTACTS says.

    If one has blocked the other, the pair is frozen from the start, and a receiver who has blocked sees nothing of it.
    """
    pair = pair_of(sender_id, receiver_id)
    if sender_id == receiver_id or _rows_of(pair).exists():
        return
    with transaction.atomic():
        # Blocking takes the same locks. Of two concurrent first messages, the later one reads the other.
        locked = profiles.lock(pair)
        if _needs_answer() and not Message.objects.filter(sender=receiver_id, receiver=sender_id).exists():
            return
        row = Contact(low_id=pair[0], high_id=pair[1])
        views = [View(*pair), View(*reversed(pair))]
        blocks = Block.objects.filter(blocker_id__in=pair, blocked_id__in=pair)
        blockers = set(blocks.values_list("blocker_id", flat=True))
        if blockers:
            views = [view for view in views if view.viewer == sender_id or receiver_id not in blockers]
            versions = {profile.user_id: _version_once_hidden(profile) for profile in locked}
            for view in views:
                setattr(row, f"{_side(row, view.seen)}_version", versions.get(view.seen, 0))
        Contact.objects.bulk_create([row], ignore_conflicts=True)
        _announce(views)


def _needs_answer() -> bool:
    return getattr(settings, "REALTIME_CONTACTS", None) == "answer"


def freeze(locked: Collection[UserProfile]) -> None:
    """One of two users has blocked the other: from now on each looks to the other as if they had just hidden.

    To be called with both profiles, locked in this transaction.
    """
    row, seen_by = _row_of_locked(locked)
    if row is None or row.is_frozen:
        return
    views = []
    for seen, viewer in seen_by:
        side = _side(row, seen.user_id)
        setattr(row, f"{side}_version", _version_once_hidden(seen) + getattr(row, f"{side}_shift"))
        if not seen.is_hidden:
            views.append(View(seen.user_id, viewer.user_id))
    _store(row, views)


def thaw(locked: Collection[UserProfile]) -> None:
    """Neither of two users blocks the other any more: each looks as if they had just stopped hiding.

    The versions go on from where they were frozen, so that no one can count what happened meanwhile. To be called with
    both profiles, locked in this transaction.
    """
    row, seen_by = _row_of_locked(locked)
    if row is None or not row.is_frozen:
        return
    views, online = [], []
    for seen, viewer in seen_by:
        side = _side(row, seen.user_id)
        frozen = getattr(row, f"{side}_version")
        if frozen is not None:
            following = frozen if seen.is_hidden else frozen + 1
            setattr(row, f"{side}_shift", following - seen.version)
            setattr(row, f"{side}_version", None)
        if frozen is None or not seen.is_hidden:
            views.append(View(seen.user_id, viewer.user_id))
            # As when a user who is online stops hiding.
            if frozen is not None and seen.is_online and viewer.is_online:
                online.append(views[-1])
    _store(row, views, online)


def _version_once_hidden(profile: UserProfile) -> int:
    """Return the version if this user hid now: of one who is hidden there is no change to see."""
    return profile.version if profile.is_hidden else profile.version + 1


def _rows_of(pair: Pair) -> QuerySet[Contact]:
    return Contact.objects.filter(low_id=pair[0], high_id=pair[1])


def _row_of_locked(
    locked: Collection[UserProfile],
) -> tuple[Contact | None, list[tuple[UserProfile, UserProfile]]]:
    low, high = sorted(locked, key=lambda profile: profile.user_id)
    return _rows_of((low.user_id, high.user_id)).first(), [(low, high), (high, low)]


def _side(row: Contact, user_id: Any) -> str:
    return "low" if row.low_id == user_id else "high"


def _store(row: Contact, views: list[View], online: Sequence[View] = ()) -> None:
    if views:
        row.changed_at = Now()
    row.save()
    _announce(views, online)


def _announce(views: list[View], online: Sequence[View] = ()) -> None:
    """Announce after commit what these viewers see from now on, and whom of them they see come online.

    To all other contacts nothing has changed.
    """

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            views_changed.send_robust(sender=Contact, views=views)
            if online:
                shown_online.send_robust(sender=Contact, views=list(online))

    if views:
        transaction.on_commit(announce, robust=True)


# --- What contacts see of each other -----------------------------------------------------------------------------


def presence_seen_by(user_ids: Collection[Any]) -> dict[Any, list[schemas.Presence]]:
    """Return what each of these users sees of their contacts, by user id.

    In one statement: from two, a change after a block could be shown to the blocked user.
    """
    halves = []
    for own, other in SIDES:
        profile = f"{other}__{profiles.PROFILE}__"
        rows = Contact.objects.filter(users.usable(other), **{f"{own}__in": user_ids})
        columns = [f"{profile}{name}" for name in ("is_online", "is_hidden", "last_seen", "version")]
        halves.append(
            rows.values_list(
                f"{own}_id",
                f"{other}_id",
                names.column(f"{other}__"),
                *columns,
                f"{own}_version",
                f"{other}_version",
                f"{other}_shift",
            )
        )
    found: dict[Any, list[schemas.Presence]] = {user_id: [] for user_id in user_ids}
    rows_of_both = list(halves[0].union(halves[1], all=True))
    left_out = users.inactive({contact_id for _, contact_id, *_ in rows_of_both})
    denied = audience.denied(row[:2] for row in rows_of_both)
    name_of = names.reader([contact_id for _, contact_id, *_ in rows_of_both])
    for user_id, contact_id, name, *profile_columns, own_version, version, shift in rows_of_both:
        # Met while the user was blocking the contact.
        is_unseen = (version is None and own_version is not None) or (user_id, contact_id) in denied
        if not is_unseen and contact_id not in left_out:
            presence = profiles.shape(contact_id, name_of(contact_id, name), *profile_columns)
            found[user_id].append(_seen(presence, shift, version))
    return found


def online_presence_seen_by(user_ids: Collection[Any]) -> dict[Any, list[schemas.Presence]]:
    """Return the contacts whom each of these users sees online, by user id.

    In two cheap statements, the common case: planning `presence_seen_by` takes as long as both. With a contact online
    the pairs are read again, since one that was blocked in between may have come online after that.
    """
    found: dict[Any, list[schemas.Presence]] = {user_id: [] for user_id in user_ids}
    pairs = _unfrozen_pairs(user_ids)
    online = profiles.presence({user_id for pair in pairs for user_id in pair[:2]}, online_only=True)
    seen = [
        (own, contact, shift)
        for low, high, low_shift, high_shift in (_unfrozen_pairs(user_ids) if online else ())
        for own, contact, shift in ((low, high, high_shift), (high, low, low_shift))
        if own in found and contact in online
    ]
    denied = audience.denied(sight[:2] for sight in seen)
    for own, contact, shift in seen:
        if (own, contact) not in denied:
            found[own].append(shifted(online[contact], shift))
    return found


def _unfrozen_pairs(user_ids: Collection[Any]) -> list[tuple[Any, Any, int, int]]:
    """Return the pairs of these users that no block has frozen: both ids and both shifts of the version."""
    pairs = Contact.objects.filter(UNFROZEN, Q(low_id__in=user_ids) | Q(high_id__in=user_ids))
    return list(pairs.values_list("low_id", "high_id", "low_shift", "high_shift"))


def _seen(presence: schemas.Presence, shift: int, frozen_version: int | None) -> schemas.Presence:
    if frozen_version is not None:
        return presence.model_copy(update={"is_online": False, "last_seen": None, "version": frozen_version})
    return shifted(presence, shift)


def as_denied(presence: schemas.Presence) -> schemas.Presence:
    """Return what a viewer is sent who saw this user online, and may see them no more: offline, as the next change.

    The user's own next change has that version, too: they go offline, which changes nothing for this viewer.
    """
    version = presence.version + 1 if presence.is_online else presence.version
    return presence.model_copy(update={"is_online": False, "last_seen": None, "version": version})


def rule_changed(user_ids: Collection[int]) -> None:
    """DOORBELL_MAY_SEE answers otherwise about these users: after commit the sockets of their contacts are sent it."""
    profiles.announce_presence(list(user_ids))


def shifted(presence: schemas.Presence, shift: int) -> schemas.Presence:
    return presence.model_copy(update={"version": presence.version + shift}) if shift else presence


def read_views(pairs: Collection[Pair]) -> tuple[dict[View, schemas.Presence], dict[Pair, datetime]]:
    """Return what the contacts among these pairs see of each other, and when that last changed, in two queries."""
    # Presence first: a change after a block is then read with the block, and isn't shown to a blocked user.
    presence = profiles.presence({user_id for pair in pairs for user_id in pair})
    rows = Contact.objects.filter(
        low_id__in={low for low, _ in pairs}, high_id__in={high for _, high in pairs}
    )
    views: dict[View, schemas.Presence] = {}
    changed: dict[Pair, datetime] = {}
    for row in rows:
        pair = (row.low_id, row.high_id)
        if pair not in pairs:
            continue
        changed[pair] = row.changed_at
        for own, other in SIDES:
            view = View(getattr(row, f"{other}_id"), getattr(row, f"{own}_id"))
            version = getattr(row, f"{other}_version")
            if view.seen in presence and (version is not None or not row.is_frozen):
                views[view] = _seen(presence[view.seen], getattr(row, f"{other}_shift"), version)
    return views, changed


def viewers_of(user_ids: Collection[Any]) -> dict[Any, dict[int, list[Any]]]:
    """Return who sees the changes of each of these users, in one query: for each shift of the version, contacts."""
    wanted = set(user_ids)
    found: dict[Any, dict[int, list[Any]]] = {user_id: {} for user_id in wanted}
    for low, high, low_shift, high_shift in _unfrozen_pairs(wanted):
        if low in wanted:
            found[low].setdefault(low_shift, []).append(high)
        if high in wanted:
            found[high].setdefault(high_shift, []).append(low)
    return found


def online_contacts(user_ids: Collection[Any], *, limit: int) -> list[tuple[Any, Any]]:
    """Return up to `limit` pairs of one of these users and an online contact, hidden or not, in one query."""
    pairs = []
    for own, other in SIDES:
        online = {f"{other}__{profiles.PROFILE}__is_online": True}
        rows = Contact.objects.filter(UNFROZEN, users.usable(other), **{f"{own}__in": user_ids}, **online)
        pairs.append(rows.values_list(f"{own}_id", f"{other}_id"))
    found = list(pairs[0].union(pairs[1], all=True)[:limit])
    left_out = users.inactive({contact_id for _, contact_id in found})
    return [pair for pair in found if pair[1] not in left_out]
