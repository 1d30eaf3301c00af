"""The only writer of UserProfile: who is online, leaving or offline, who is hidden, and what contacts see of them.

Presence that follows from connections is decided in `apply_presence`. Which connections are live, realtime knows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, F, QuerySet, When
from django.db.models.functions import Now

from . import names, schemas, users
from .events import presence_changed, status_changed
from .models import UserProfile
from .orm.user_keys import query_name

# The name by which a query on users joins their profiles.
PROFILE = query_name(UserProfile)
# How long a user who was set online manually stays online without a connection.
MANUAL_DURATION = timedelta(minutes=5)

# --- From connections --------------------------------------------------------------------------------------------


def lock(user_ids: Collection[Any], *, skip_locked: bool = False) -> list[UserProfile]:
    """Lock these users' profiles in the order of user ids, and create missing ones. Deleted users are left out.

    `skip_locked` leaves out profiles that another transaction has locked, too. To be called in a transaction.
    """
    rows = UserProfile.objects.filter(user_id__in=user_ids).order_by("user_id")
    rows = rows.select_for_update(skip_locked=skip_locked)
    profiles = list(rows)
    if len(profiles) < len(set(user_ids)):
        known = {profile.user_id for profile in profiles}
        others = users.everybody().filter(pk__in=set(user_ids) - known).order_by("pk")
        missing = [UserProfile(user_id=pk) for pk in others.values_list("pk", flat=True)]
        if missing:
            UserProfile.objects.bulk_create(missing, ignore_conflicts=True)
            profiles = list(rows.all())
    return profiles


def lock_overdue(*, limit: int = 500) -> list[UserProfile]:
    """Lock up to `limit` profiles whose grace period is over, but none that another transaction has locked."""
    rows = UserProfile.objects.filter(offline_after__lt=Now()).order_by("user_id")
    return list(rows.select_for_update(skip_locked=True)[:limit])


def apply_presence(
    locked: Iterable[UserProfile],
    *,
    live: Collection[Any],
    leaving: Mapping[Any, float] | None = None,
    overdue: Collection[Any] = (),
) -> list[Any]:
    """Bring profiles, locked in this transaction, in line with their users' connections.

    `live`: users with a live connection. `leaving`: users who have lost one, with the seconds of their grace period.
    `overdue`: users whose grace period is over. Changes are announced after commit. Returns those who went offline.

    | the user is           | and live | and leaving              | and overdue |
    |-----------------------|----------|--------------------------|-------------|
    | offline               | online   |                          |             |
    | online                |          | leaving                  |             |
    | leaving: online until | online   | leaving, by the new      | offline     |
    | `offline_after`       |          | grace period             |             |
    """
    come, back, gone = [], [], []
    graces: dict[float, list[Any]] = {}
    for profile in locked:
        user_id = profile.user_id
        if user_id in live:
            if not profile.is_online:
                come.append(user_id)
            elif profile.offline_after:
                back.append(user_id)
        elif user_id in overdue:
            gone.append(user_id)
        elif leaving and user_id in leaving and profile.is_online:
            graces.setdefault(leaving[user_id], []).append(user_id)
    _set_online(come, is_online=True)
    _set_offline_after(back, None)
    for seconds, user_ids in graces.items():
        _set_offline_after(user_ids, Now() + timedelta(seconds=seconds))
    _set_online(gone, is_online=False)
    return gone


def _set_online(user_ids: Collection[Any], *, is_online: bool) -> None:
    if user_ids:
        UserProfile.objects.filter(user_id__in=user_ids).update(
            is_online=is_online, offline_after=None, **_visible_change()
        )
        _announce_status(user_ids, is_online=is_online)


def _set_offline_after(user_ids: Collection[Any], moment: Any) -> None:
    if user_ids:
        UserProfile.objects.filter(user_id__in=user_ids).update(offline_after=moment)


def _visible_change() -> dict[str, Any]:
    """Raise the version by which contacts see a change, and note when they saw it.

    A hidden user's comings and goings show in neither, also once the user is shown again.
    """
    return {
        "version": F("version") + Case(When(is_hidden=False, then=1), default=0),
        "changed_at": Case(When(is_hidden=False, then=Now()), default=F("changed_at")),
        "last_seen": Case(When(is_hidden=False, then=Now()), default=F("last_seen")),
    }


# --- Manually ----------------------------------------------------------------------------------------------------


def set_manually(profile: UserProfile) -> bool:
    """Store a new `is_online` of a profile that is being saved. Returns whether it was new."""
    rows = UserProfile.objects.filter(pk=profile.pk, is_online=not profile.is_online)
    changed = bool(_set_manually(rows, is_online=profile.is_online))
    if changed:
        _announce_status([profile.user_id], is_online=profile.is_online)
    return changed


def set_many_manually(user_ids: Collection[Any], *, is_online: bool) -> list[Any]:
    """Set these users online, for at most five minutes, or offline. Returns those of them who weren't already."""
    with transaction.atomic():
        changed = [profile.user_id for profile in lock(user_ids) if profile.is_online != is_online]
        if changed:
            _set_manually(UserProfile.objects.filter(user_id__in=changed), is_online=is_online)
            _announce_status(changed, is_online=is_online)
    return changed


def _set_manually(rows: QuerySet[UserProfile], *, is_online: bool) -> int:
    return rows.update(
        is_online=is_online,
        offline_after=Now() + MANUAL_DURATION if is_online else None,
        **_visible_change(),
    )


# --- Hiding ------------------------------------------------------------------------------------------------------


def set_hidden(user: Any, *, is_hidden: bool) -> bool:
    """Hide a user from their contacts, or show them again. Returns whether that was new.

    To contacts it looks as if the user went or came: offline without a last_seen, and no notifications.
    """
    with transaction.atomic():
        profiles = lock([user.pk])
        if not profiles:
            raise users.model().DoesNotExist(f"User {user.pk} has been deleted.")
        return any(_hide(profile, is_hidden=is_hidden) for profile in profiles)


def store_is_hidden(profile: UserProfile) -> bool:
    """Store a new `is_hidden` of a profile that is being saved. Returns whether it was new."""
    profile._was_hidden = profile.is_hidden
    return _hide(profile, is_hidden=profile.is_hidden)


def _hide(profile: UserProfile, *, is_hidden: bool) -> bool:
    rows = UserProfile.objects.filter(pk=profile.pk, is_hidden=not is_hidden)
    # An online user is seen until now, or from now on.
    last_seen = Case(When(is_online=True, then=Now()), default=F("last_seen"))
    if not rows.update(is_hidden=is_hidden, version=F("version") + 1, changed_at=Now(), last_seen=last_seen):
        return False
    # Contacts of a user who hides get the frame, but no "… is offline" notification.
    shown_online = not is_hidden and UserProfile.objects.filter(pk=profile.pk, is_online=True).exists()
    announce_presence([profile.user_id], online=[profile.user_id] if shown_online else [])
    return True


def settings_of(user: Any) -> dict[str, Any]:
    """Return what a user has chosen: is_hidden, language, timezone."""
    columns = ("is_hidden", "language", "timezone")
    found = UserProfile.objects.filter(user=user).values(*columns).first()
    return {"is_hidden": False, "language": "", "timezone": ""} if found is None else dict(found)


def set_preferences(user: Any, **chosen: str) -> None:
    """Set a user's language or time zone, or both. Contacts see nothing of it."""
    with transaction.atomic():
        if not lock([user.pk]):
            raise users.model().DoesNotExist(f"User {user.pk} has been deleted.")
        UserProfile.objects.filter(user_id=user.pk).update(**chosen)


# --- What contacts see -------------------------------------------------------------------------------------------


def _announce_status(user_ids: Iterable[Any], *, is_online: bool) -> None:
    """Announce after commit that these users came online or went offline, leaving out those who are hidden."""
    rows = UserProfile.objects.filter(user_id__in=user_ids, is_hidden=False).order_by("user_id")
    users = list(rows.values_list("user_id", flat=True))
    announce_presence(users, online=users if is_online else [], offline=[] if is_online else users)


def announce_presence(
    user_ids: list[Any], *, online: Sequence[Any] = (), offline: Sequence[Any] = ()
) -> None:
    """Announce after commit that what contacts see of these users has changed, and which of them came or went."""

    def announce() -> None:
        if not transaction.get_connection().in_atomic_block:
            presence_changed.send_robust(sender=UserProfile, users=user_ids)
            if online or offline:
                status_changed.send_robust(sender=UserProfile, online=list(online), offline=list(offline))

    if user_ids:
        transaction.on_commit(announce, robust=True)


def presence(user_ids: Collection[Any], *, online_only: bool = False) -> dict[Any, schemas.Presence]:
    """Return what contacts see of these users, by user id. Hidden users appear offline and never seen.

    Deactivated ones appear offline: contacts who saw them online before are to see that they went. What one contact
    sees may differ from it: see contacts.py.
    """
    if not user_ids:
        return {}
    rows = users.everybody().filter(pk__in=user_ids)
    if online_only:
        rows = rows.filter(**{f"{PROFILE}__is_online": True, f"{PROFILE}__is_hidden": False})
    profile = [f"{PROFILE}__{column}" for column in ("is_online", "is_hidden", "last_seen", "version")]
    left_out = users.inactive(user_ids)
    found = {}
    selected = list(rows.values_list("pk", names.column(), *profile, users.is_usable()))
    name_of = names.reader([row[0] for row in selected])
    for row in selected:
        seen = shape(row[0], name_of(row[0], row[1]), *row[2:-1])
        if seen.is_online and (not row[-1] or row[0] in left_out):
            seen = seen.model_copy(update={"is_online": False})
        if seen.is_online or not online_only:
            found[row[0]] = seen
    return found


def shape(
    user_id: Any,
    name: str,
    is_online: bool | None,
    is_hidden: bool | None,
    last_seen: datetime | None,
    version: int | None,
) -> schemas.Presence:
    """Return what contacts see of a profile. All its columns are None if the user has none: they never connected."""
    return schemas.Presence(
        user=schemas.User(id=user_id, username=name),
        is_online=bool(is_online and not is_hidden),
        last_seen=None if is_hidden else last_seen,
        version=version or 0,
    )
