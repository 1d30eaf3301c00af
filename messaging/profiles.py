"""The only writer of `is_online`, and who may see it. Callers hold the profiles' locks (`lock`) in a transaction."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from . import schemas
from .announcements import presence_changed, status_changed
from .models import Contact, UserProfile

# How long somebody set online by hand stays so without a connection.
BY_HAND = timedelta(minutes=5)


def lock(user_ids: Collection[int]) -> list[UserProfile]:
    """Lock these users' profiles in the order of user ids, and make missing ones. Users who are gone are left out."""
    rows = UserProfile.objects.filter(user_id__in=user_ids).order_by("user_id").select_for_update()
    profiles = list(rows)
    if len(profiles) < len(set(user_ids)):
        known = {profile.user_id for profile in profiles}
        users = get_user_model().objects.filter(pk__in=set(user_ids) - known).order_by("pk")
        missing = [UserProfile(user_id=pk) for pk in users.values_list("pk", flat=True)]
        if missing:
            UserProfile.objects.bulk_create(missing, ignore_conflicts=True)
            profiles = list(rows.all())
    return profiles


def set_online(user_ids: Collection[int]) -> None:
    """Show these users online, and announce it after commit."""
    _set(user_ids, is_online=True)


def set_offline(user_ids: Collection[int]) -> None:
    """Show these users offline, last seen now, and announce it after commit."""
    _set(user_ids, is_online=False)


def _set(user_ids: Collection[int], *, is_online: bool) -> None:
    if user_ids:
        UserProfile.objects.filter(user_id__in=user_ids).update(
            is_online=is_online,
            offline_after=None,
            last_seen=Now(),
            changed_at=Now(),
            version=F("version") + 1,
        )
        announce_status(user_ids, is_online=is_online)


def set_leaving(user_ids: Collection[int], grace: timedelta) -> None:
    """Show these users offline when the grace is over, unless they come back."""
    if user_ids:
        UserProfile.objects.filter(user_id__in=user_ids).update(offline_after=Now() + grace)


def set_staying(user_ids: Collection[int]) -> None:
    """Forget that these users were about to go."""
    if user_ids:
        UserProfile.objects.filter(user_id__in=user_ids).update(offline_after=None)


def set_by_hand(profile: UserProfile) -> bool:
    """Store a new `is_online` of a profile that is being saved. Returns whether it was new."""
    rows = UserProfile.objects.filter(pk=profile.pk, is_online=not profile.is_online)
    changed = bool(_set_by_hand(rows, is_online=profile.is_online))
    if changed:
        announce_status([profile.user_id], is_online=profile.is_online)
    return changed


def set_many_by_hand(user_ids: Collection[int], *, is_online: bool) -> list[int]:
    """Set these users online, for at most five minutes, or offline. Returns those of them who weren't already."""
    with transaction.atomic():
        changed = [profile.user_id for profile in lock(user_ids) if profile.is_online != is_online]
        if changed:
            _set_by_hand(UserProfile.objects.filter(user_id__in=changed), is_online=is_online)
            announce_status(changed, is_online=is_online)
    return changed


def _set_by_hand(rows: QuerySet[UserProfile], *, is_online: bool) -> int:
    return rows.update(
        is_online=is_online,
        offline_after=Now() + BY_HAND if is_online else None,
        last_seen=Now(),
        changed_at=Now(),
        version=F("version") + 1,
    )


def overdue(*, most: int = 500) -> list[int]:
    """Return users whose grace is over, locked against other reapers."""
    rows = UserProfile.objects.filter(offline_after__lt=Now()).order_by("user_id")
    return list(rows.select_for_update(skip_locked=True).values_list("user_id", flat=True)[:most])


def announce_status(user_ids: Iterable[int], *, is_online: bool) -> None:
    users = sorted(user_ids)

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            presence_changed.send_robust(sender=UserProfile, users=users)
            status_changed.send_robust(
                sender=UserProfile,
                online=users if is_online else [],
                offline=[] if is_online else users,
            )

    transaction.on_commit(announce, robust=True)


def meet(user_id: int, other_id: int) -> None:
    """Make two people contacts: from now on they see each other's presence."""
    low, high = sorted((user_id, other_id))
    if low == high or Contact.objects.filter(low_id=low, high_id=high).exists():
        return
    Contact.objects.bulk_create([Contact(low_id=low, high_id=high)], ignore_conflicts=True)

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            presence_changed.send_robust(sender=UserProfile, users=[low, high])

    transaction.on_commit(announce, robust=True)


def contacts(user_id: int) -> list[int]:
    """Return the ids of the people who may see this user's presence, and whose presence this user may see."""
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


def presence(user_ids: Collection[int], *, online_only: bool = False) -> dict[int, schemas.Presence]:
    """Return what contacts see of these users, by user id."""
    rows = UserProfile.objects.filter(user_id__in=user_ids, user__is_active=True)
    if online_only:
        rows = rows.filter(is_online=True)
    username = f"user__{get_user_model().USERNAME_FIELD}"
    return {
        user_id: schemas.Presence(
            user=schemas.User(id=user_id, username=name),
            is_online=is_online,
            last_seen=last_seen,
            version=version,
        )
        for user_id, name, is_online, last_seen, version in rows.values_list(
            "user_id", username, "is_online", "last_seen", "version"
        )
    }


def changed_since(moment: datetime) -> dict[int, int]:
    """Return the versions of the profiles that changed after that moment of the database's clock, by user id."""
    return dict(UserProfile.objects.filter(changed_at__gt=moment).values_list("user_id", "version"))
