"""The only writer of `is_online`, and who may see it. Callers hold the profiles' locks (`lock`) in a transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Case, F, QuerySet, When
from django.db.models.functions import Now

from . import schemas
from .events import presence_changed, status_changed
from .models import UserProfile

# How long somebody set online by hand stays so without a connection.
BY_HAND = timedelta(minutes=5)


def lock(user_ids: Collection[int], *, skip_locked: bool = False) -> list[UserProfile]:
    """Lock these users' profiles in the order of user ids, and make missing ones. Users who are gone are left out.

    With `skip_locked` also those are left out whose profiles somebody else has locked.
    """
    rows = UserProfile.objects.filter(user_id__in=user_ids).order_by("user_id")
    rows = rows.select_for_update(skip_locked=skip_locked)
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
            is_online=is_online, offline_after=None, last_seen=Now(), **_visible_change()
        )
        announce_status(user_ids, is_online=is_online)


def _visible_change() -> dict[str, Any]:
    """What tells contacts of a change. Of hidden people's comings and goings not even the version tells."""
    return {
        "version": F("version") + Case(When(is_hidden=False, then=1), default=0),
        "changed_at": Case(When(is_hidden=False, then=Now()), default=F("changed_at")),
    }


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
        **_visible_change(),
    )


def set_hidden(user: Any, *, is_hidden: bool) -> bool:
    """Hide a user from their contacts, or show them again. Returns whether that was new.

    To contacts it looks as if the user went or came: offline without a last_seen, and no notifications.
    """
    with transaction.atomic():
        return any(_hide(profile, is_hidden=is_hidden) for profile in lock([user.pk]))


def note_hiding(profile: UserProfile) -> bool:
    """Store a new `is_hidden` of a profile that is being saved. Returns whether it was new."""
    profile._was_hidden = profile.is_hidden
    return _hide(profile, is_hidden=profile.is_hidden)


def _hide(profile: UserProfile, *, is_hidden: bool) -> bool:
    rows = UserProfile.objects.filter(pk=profile.pk, is_hidden=not is_hidden)
    if not rows.update(is_hidden=is_hidden, version=F("version") + 1, changed_at=Now()):
        return False
    # Of somebody who hides nothing is said but the frame.
    shown_online = not is_hidden and UserProfile.objects.filter(pk=profile.pk, is_online=True).exists()
    announce_presence([profile.user_id], online=[profile.user_id] if shown_online else [])
    return True


def is_hidden(user: Any) -> bool:
    return UserProfile.objects.filter(user=user, is_hidden=True).exists()


def overdue(*, most: int = 500) -> list[int]:
    """Return users whose grace is over, locked against other reapers."""
    rows = UserProfile.objects.filter(offline_after__lt=Now()).order_by("user_id")
    return list(rows.select_for_update(skip_locked=True).values_list("user_id", flat=True)[:most])


def announce_status(user_ids: Iterable[int], *, is_online: bool) -> None:
    """Announce after commit that these users came or went: those of them who aren't hidden."""
    rows = UserProfile.objects.filter(user_id__in=user_ids, is_hidden=False).order_by("user_id")
    users = list(rows.values_list("user_id", flat=True))
    announce_presence(users, online=users if is_online else [], offline=[] if is_online else users)


def announce_presence(
    user_ids: list[int], *, online: Sequence[int] = (), offline: Sequence[int] = ()
) -> None:
    """Announce after commit that what contacts see of these users has changed, and which of them came or went."""

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            presence_changed.send_robust(sender=UserProfile, users=user_ids)
            if online or offline:
                status_changed.send_robust(sender=UserProfile, online=list(online), offline=list(offline))

    if user_ids:
        transaction.on_commit(announce, robust=True)


def presence(user_ids: Collection[int], *, online_only: bool = False) -> dict[int, schemas.Presence]:
    """Return what contacts see of these users, by user id. Hidden ones are offline to them, and were never seen."""
    rows = get_user_model().objects.filter(pk__in=user_ids, is_active=True)
    if online_only:
        rows = rows.filter(profile__is_online=True, profile__is_hidden=False)
    profile = [f"profile__{column}" for column in ("is_online", "is_hidden", "last_seen", "version")]
    return {
        user_id: schemas.Presence(
            user=schemas.User(id=user_id, username=name),
            # Without a profile yet nobody has been here.
            is_online=bool(is_online and not is_hidden),
            last_seen=None if is_hidden else last_seen,
            version=version or 0,
        )
        for user_id, name, is_online, is_hidden, last_seen, version in rows.values_list(
            "pk", get_user_model().USERNAME_FIELD, *profile
        )
    }
