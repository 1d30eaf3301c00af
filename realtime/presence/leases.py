"""The transactions of presence: the only writer of ServerProcess and Connection. From these, profiles turn online.

Nobody is online but by a connection whose process's lease runs, by the database's clock. Lock order, everywhere:
process, profiles by user id, connections. Without the profiles' locks, a reload can end connected but offline.
"""

import logging
import os
import socket
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, Window
from django.db.models.functions import Now, RowNumber

from messaging import profiles
from messaging.models import UserProfile
from messaging.orm.retry import retry_on_transient
from realtime.conf import conf
from realtime.models import Connection, ServerProcess

logger = logging.getLogger(__name__)

# How long the users of a buried process have to come back elsewhere.
EXPIRED_GRACE_SECONDS = 10.0
# So long a batch waits for a profile that somebody else has locked: the process has its lease to renew.
LOCK_TIMEOUT_SECONDS = 1
OFFLINE_BATCH_SIZE = 500
# The name of what isn't a process, but holds the connections of dead ones until they can be deleted.
ORPHANAGE = "(expired)"


@dataclass(frozen=True, slots=True)
class Opened:
    id: str
    user_id: int
    login_hash: str


@dataclass(frozen=True, slots=True)
class Closed:
    """`grace`: seconds in which the user may come back before anybody hears of it."""

    id: str
    user_id: int
    grace: float


class Fenced(Exception):
    """This process's lease ran out and somebody buried it."""


def register() -> uuid.UUID:
    """Begin this process's lease."""
    return ServerProcess.objects.create(
        name=f"{socket.gethostname()} {os.getpid()}", lease_until=Now() + _lease()
    ).id


def mark_unconnected_leaving() -> None:
    """Give those whom no connection ever showed online, but a restored backup, say, the grace of the buried."""
    connections = Connection.objects.filter(user_id=OuterRef("user_id"))
    online = UserProfile.objects.filter(~Exists(connections), is_online=True, offline_after=None)
    profiles.set_leaving(
        list(online.values_list("user_id", flat=True)), timedelta(seconds=EXPIRED_GRACE_SECONDS)
    )


def renew(process_id: uuid.UUID) -> None:
    """Prolong a lease. Raises Fenced if somebody has buried the process."""
    if not ServerProcess.objects.filter(id=process_id).update(lease_until=Now() + _lease()):
        raise Fenced


def _lease() -> timedelta:
    return timedelta(seconds=conf.lease_seconds)


def record(process_id: uuid.UUID, batch: Collection[Opened | Closed]) -> list[tuple[int, uuid.UUID]]:
    """Write connects and disconnects of a process, and what follows for the profiles, in one transaction.

    Returns (user id, connection id) of sockets over the limit, the oldest of their users. Raises Fenced.
    """
    return retry_on_transient(lambda: _record(process_id, batch))


def _record(process_id: uuid.UUID, batch: Collection[Opened | Closed]) -> list[tuple[int, uuid.UUID]]:
    closed = {event.id: event for event in batch if isinstance(event, Closed)}
    # A connect may be told twice: when the process has registered anew.
    opened = {e.id: e for e in batch if isinstance(e, Opened) and e.id not in closed}
    user_ids = {event.user_id for event in batch}
    with transaction.atomic():
        lock_process_or_fence(process_id)
        locked = {profile.user_id: profile for profile in profiles.lock(user_ids)}
        Connection.objects.bulk_create(
            [
                Connection(
                    id=event.id,
                    process_id=process_id,
                    user_id=event.user_id,
                    login_hash=event.login_hash,
                    # The clock stands still within a transaction, and the oldest is the first over the limit.
                    opened_at=Now() + timedelta(microseconds=place),
                )
                for place, event in enumerate(opened.values())
                if event.user_id in locked
            ],
            # What was told before stays, taken back from the grave if it is there.
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["process"],
        )
        Connection.objects.filter(id__in=closed).delete()
        graces: dict[int, float] = {}
        for event in closed.values():
            graces[event.user_id] = max(event.grace, graces.get(event.user_id, 0.0))
        _settle(locked, graces, writer=process_id)
        return _over_limit(event.user_id for event in opened.values())


def lock_process_or_fence(process_id: uuid.UUID) -> None:
    """Keep the process from being buried during this transaction. Raises Fenced if it has been."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
            cursor.execute(
                f"SELECT 1 FROM {ServerProcess._meta.db_table} WHERE id = %s FOR KEY SHARE",  # noqa: S608
                [process_id],
            )
            alive = cursor.fetchone() is not None
    else:
        alive = ServerProcess.objects.filter(id=process_id).exists()
    if not alive:
        raise Fenced


def _settle(locked: dict[int, Any], graces: dict[int, float], *, writer: uuid.UUID | None = None) -> set[int]:
    """Bring locked profiles in line with their live connections. `graces`: seconds, of those who lost one.

    `writer`: the process that writes this. It lives, even if it has yet to renew its lease: after an outage it may
    come to that later. Returns the users with live connections.
    """
    alive = Q(process__lease_until__gt=Now()) | Q(process=writer)
    live = set(
        Connection.objects.filter(alive, user_id__in=locked)
        .order_by()
        .values_list("user_id", flat=True)
        .distinct()
    )
    profiles.set_online([user_id for user_id in live if not locked[user_id].is_online])
    profiles.set_staying(
        [user_id for user_id in live if locked[user_id].is_online and locked[user_id].offline_after]
    )
    leaving: dict[float, list[int]] = {}
    for user_id, grace in graces.items():
        if user_id in locked and user_id not in live and locked[user_id].is_online:
            leaving.setdefault(grace, []).append(user_id)
    for grace, user_ids in leaving.items():
        profiles.set_leaving(user_ids, timedelta(seconds=grace))
    return live


def _over_limit(user_ids: Any) -> list[tuple[int, uuid.UUID]]:
    most = conf.max_connections_per_user
    newest_first = Window(
        RowNumber(), partition_by=F("user_id"), order_by=[F("opened_at").desc(), F("id").desc()]
    )
    ranked = Connection.objects.filter(user_id__in=set(user_ids)).order_by()
    return list(ranked.annotate(place=newest_first).filter(place__gt=most).values_list("user_id", "id"))


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many processes were buried, and how many users were turned offline. `more`: others wait for their turn."""

    processes: int
    offline: int
    more: bool


def reap() -> Reaped:
    """Bury processes whose lease has run out, and turn those offline whose grace is over. Any process may."""
    with transaction.atomic():
        dead = list(
            ServerProcess.objects.filter(lease_until__lt=Now())
            .order_by("id")
            .select_for_update(skip_locked=True)
            .values_list("id", flat=True)
        )
    expired = (
        retry_on_transient(lambda: expire_processes(dead, grace=EXPIRED_GRACE_SECONDS, only_expired=True))
        if dead
        else 0
    )
    offline, more = retry_on_transient(_turn_offline)
    return Reaped(processes=expired, offline=offline, more=more)


def expire_processes(process_ids: Collection[uuid.UUID], *, grace: float, only_expired: bool = False) -> int:
    """Delete these processes with their connections; their users have the grace to come back elsewhere.

    Connections of users whose profiles somebody else has locked are left for the next time, as those of a grave: the
    process itself must go at once, or it might live on without them. Returns how many processes were buried.
    """
    with transaction.atomic():
        processes = ServerProcess.objects.filter(id__in=process_ids).order_by("id")
        if only_expired:
            processes = processes.filter(lease_until__lt=Now())
        dead = dict(processes.select_for_update(skip_locked=True).values_list("id", "name"))
        orphans = Connection.objects.filter(process_id__in=dead)
        user_ids = set(orphans.order_by().values_list("user_id", flat=True).distinct())
        locked = {profile.user_id: profile for profile in profiles.lock(user_ids, skip_locked=True)}
        orphans.filter(user_id__in=locked).delete()
        if user_ids - locked.keys():
            orphanage = ServerProcess.objects.create(name=ORPHANAGE, lease_until=Now() - _lease())
            orphans.update(process=orphanage)
        ServerProcess.objects.filter(id__in=dead).delete()
        _settle(locked, dict.fromkeys(locked, grace))
    expired = sum(name != ORPHANAGE for name in dead.values())
    if only_expired and expired:
        logger.warning("buried %d server processes whose lease had run out", expired)
    return expired


def orphan(user_id: int) -> list[uuid.UUID]:
    """Make a user's connections those of a process that was killed: its lease has run out. Returns their ids."""
    with transaction.atomic():
        mine = Connection.objects.filter(user_id=user_id)
        ids = list(mine.values_list("id", flat=True))
        dead = ServerProcess.objects.create(name="(killed)", lease_until=Now() - _lease())
        mine.filter(id__in=ids).update(process=dead)
    return ids


def _turn_offline() -> tuple[int, bool]:
    """Turn those offline whose grace is over and who have no live connection. Returns how many, and: are there more?"""
    with transaction.atomic():
        gone: list[int] = []
        locked = {
            profile.user_id: profile for profile in profiles.lock(profiles.overdue(most=OFFLINE_BATCH_SIZE))
        }
        if locked:
            live = _settle(locked, {})
            gone = [user_id for user_id in locked if user_id not in live]
            profiles.set_offline(gone)
    return len(gone), len(locked) == OFFLINE_BATCH_SIZE


def record_each(
    process_id: uuid.UUID, batch: Collection[Opened | Closed]
) -> tuple[list[tuple[int, uuid.UUID]], list[Opened | Closed]]:
    """Write a batch that failed as a whole one user at a time, so that one bad event holds nobody else up.

    Events that the database will never take are logged and dropped. Returns what `record` does, and the events
    that could not be written now, in their order. Raises Fenced, and OperationalError if the database is away.
    """
    by_user: dict[int, list[Opened | Closed]] = {}
    for event in batch:
        by_user.setdefault(event.user_id, []).append(event)
    over_limit: list[tuple[int, uuid.UUID]] = []
    waiting: list[Opened | Closed] = []
    for user_id, events in by_user.items():
        try:
            over_limit += record(process_id, events)
        except Fenced:
            raise
        except (OperationalError, InterfaceError) as error:
            # Their profile is locked for long, say. If it's the whole database, this raises.
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            logger.warning("presence of user %s waits: %s", user_id, error)
            waiting += events
        except Exception:
            logger.exception("presence of user %s can't be written; %d events dropped", user_id, len(events))
    return over_limit, waiting
