"""The transactions of presence: the only writer of ServerProcess and Connection.

A user is online while at least one of their connections belongs to a process with an unexpired lease (database clock).
Lock order, everywhere: process, profiles by user id, connections. Without the profiles' locks, a reload can end
connected but offline. What follows from live connections for a profile is decided in messaging/profiles.py.
"""

import logging
import os
import socket
import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q
from django.db.models.functions import Now

from messaging import profiles
from messaging.dialects import dialect
from messaging.models import UserProfile
from messaging.orm import tables
from messaging.orm.retry import retry_on_transient
from realtime.conf import conf
from realtime.models import Connection, ServerProcess
from realtime.version import version

logger = logging.getLogger(__name__)

# The grace period of users whose process was expired: the time to reconnect to another one.
EXPIRED_GRACE_SECONDS = 10.0
# How long a batch waits for a profile that another transaction has locked: the process has its lease to renew.
LOCK_TIMEOUT_SECONDS = 1
OFFLINE_BATCH_SIZE = 500
# The name of a ServerProcess that isn't one: it holds connections of expired processes until they can be deleted.
ORPHANAGE = "(expired)"


@dataclass(frozen=True, slots=True)
class Opened:
    id: str
    user_id: Any
    login_hash: str


@dataclass(frozen=True, slots=True)
class Closed:
    """`grace`: the seconds in which the user can reconnect without going offline."""

    id: str
    user_id: Any
    grace: float


class Fenced(Exception):
    """Another process has expired this process's lease."""


# --- The lease of this process -----------------------------------------------------------------------------------


def register() -> uuid.UUID:
    """Begin this process's lease."""
    return ServerProcess.objects.create(
        name=f"{socket.gethostname()} {os.getpid()}", version=version(), lease_until=Now() + _lease()
    ).id


def renew(process_id: uuid.UUID) -> None:
    """Prolong a lease. Raises Fenced if another process has expired it."""
    if not ServerProcess.objects.filter(id=process_id).update(lease_until=Now() + _lease()):
        raise Fenced


def _lease() -> timedelta:
    return timedelta(seconds=conf.lease_seconds)


def lock_process_or_fence(process_id: uuid.UUID) -> None:
    """Keep the process from being expired during this transaction. Raises Fenced if it has been."""
    exists = dialect().lock_against_deletion(ServerProcess, process_id, wait_seconds=LOCK_TIMEOUT_SECONDS)
    if not exists:
        raise Fenced


# --- Connects and disconnects ------------------------------------------------------------------------------------


def record(process_id: uuid.UUID, batch: Collection[Opened | Closed]) -> list[tuple[Any, uuid.UUID]]:
    """Write connects and disconnects of a process, and the presence that follows, in one transaction.

    Returns (user id, connection id) of sockets over the limit, the oldest of their users. Raises Fenced.
    """
    return retry_on_transient(lambda: _record(process_id, batch))


def _record(process_id: uuid.UUID, batch: Collection[Opened | Closed]) -> list[tuple[Any, uuid.UUID]]:
    closed = {event.id: event for event in batch if isinstance(event, Closed)}
    # A connect may come twice: when the process has registered again.
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
            # A row that exists stays, and is taken back from the orphanage if it is there.
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["process"],
        )
        Connection.objects.filter(id__in=closed).delete()
        leaving: dict[Any, float] = {}
        for event in closed.values():
            leaving[event.user_id] = max(event.grace, leaving.get(event.user_id, 0.0))
        connections = _connections_of(locked, writer=process_id)
        live = {user_id for user_id, _, is_live in connections if is_live}
        profiles.apply_presence(locked.values(), live=live, leaving=leaving)
        connected = {event.user_id for event in opened.values()}
        return _over_limit((user_id, pk) for user_id, pk, _ in connections if user_id in connected)


def record_batch(
    process_id: uuid.UUID, batch: Collection[Opened | Closed]
) -> tuple[list[tuple[Any, uuid.UUID]], list[Opened | Closed]]:
    """Write a batch; one that fails as a whole user by user, so that one bad event delays no other user.

    Events that the database will never accept are logged and dropped. Returns what `record` does, and the events
    that could not be written this time, in order. Raises Fenced, and a database's error if it is unavailable.
    """
    try:
        return record(process_id, batch), []
    except Fenced:
        raise
    except Exception as error:
        if tables.is_missing_table(error):
            # No event is at fault, and after `migrate` all can be written.
            raise
        logger.warning("batch of %d presence events failed, retrying user by user: %r", len(batch), error)
        connection.close()
    by_user: dict[Any, list[Opened | Closed]] = {}
    for event in batch:
        by_user.setdefault(event.user_id, []).append(event)
    over_limit: list[tuple[Any, uuid.UUID]] = []
    deferred: list[Opened | Closed] = []
    for user_id, events in by_user.items():
        try:
            over_limit += record(process_id, events)
        except Fenced:
            raise
        except (OperationalError, InterfaceError) as error:
            # Their profile is locked for long, say. If the whole database is unavailable, this raises.
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            named = {"user": user_id, "error": error}
            logger.warning("presence of user %(user)s not written, retrying: %(error)r", named)
            deferred += events
        except Exception:
            dropped = {"user": user_id, "events": len(events)}
            logger.exception(
                "presence of user %(user)s cannot be written; %(events)d events dropped", dropped
            )
    return over_limit, deferred


def _connections_of(user_ids: Iterable[Any], *, writer: uuid.UUID) -> list[tuple[Any, uuid.UUID, bool]]:
    """Return (user id, connection id, whether it is live), the newest first.

    `writer`: the process that is writing. It counts as alive even before it has renewed its lease, which after an
    outage may happen later.
    """
    is_live = Q(process__lease_until__gt=Now()) | Q(process=writer)
    rows = Connection.objects.filter(user_id__in=user_ids).order_by("-opened_at", "-id")
    return list(rows.values_list("user_id", "id", ExpressionWrapper(is_live, BooleanField())))


def _live_users(user_ids: Iterable[Any]) -> set[Any]:
    """Return those of these users who have a live connection."""
    rows = Connection.objects.filter(process__lease_until__gt=Now(), user_id__in=user_ids).order_by()
    return set(rows.values_list("user_id", flat=True).distinct())


def _over_limit(newest_first: Iterable[tuple[Any, uuid.UUID]]) -> list[tuple[Any, uuid.UUID]]:
    """Return those of these (user id, connection id) that are over their user's limit."""
    counts: Counter[Any] = Counter()
    over = []
    for user_id, pk in newest_first:
        counts[user_id] += 1
        if counts[user_id] > conf.max_connections_per_user:
            over.append((user_id, pk))
    return over


# --- What other processes left -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many processes were expired, and how many users went offline. `more`: a full batch, there may be others."""

    processes: int
    offline: int
    more: bool


def reap() -> Reaped:
    """Expire processes whose lease has run out, and mark users offline whose grace period is over.

    Any process may do this.
    """
    with transaction.atomic():
        lapsed = list(
            ServerProcess.objects.filter(lease_until__lt=Now())
            .order_by("id")
            .select_for_update(skip_locked=True)
            .values_list("id", flat=True)
        )
    expired = 0
    if lapsed:
        expired = retry_on_transient(
            lambda: expire_processes(lapsed, grace=EXPIRED_GRACE_SECONDS, only_lapsed=True)
        )
    offline, more = retry_on_transient(_mark_overdue_offline)
    return Reaped(processes=expired, offline=offline, more=more)


def expire_processes(process_ids: Collection[uuid.UUID], *, grace: float, only_lapsed: bool = False) -> int:
    """Delete these processes with their connections. Their users are leaving: `grace` seconds to reconnect elsewhere.

    Connections of users whose profiles another transaction has locked are moved to the orphanage, and left for the
    next time. The process itself must go at once: otherwise it could live on without them. Returns how many processes
    were expired.
    """
    with transaction.atomic():
        processes = ServerProcess.objects.filter(id__in=process_ids).order_by("id")
        if only_lapsed:
            processes = processes.filter(lease_until__lt=Now())
        expired = dict(processes.select_for_update(skip_locked=True).values_list("id", "name"))
        orphans = Connection.objects.filter(process_id__in=expired)
        user_ids = set(orphans.order_by().values_list("user_id", flat=True).distinct())
        locked = {profile.user_id: profile for profile in profiles.lock(user_ids, skip_locked=True)}
        orphans.filter(user_id__in=locked).delete()
        if user_ids - locked.keys():
            orphanage = ServerProcess.objects.create(name=ORPHANAGE, lease_until=Now() - _lease())
            orphans.update(process=orphanage)
        ServerProcess.objects.filter(id__in=expired).delete()
        leaving = dict.fromkeys(locked, grace)
        live = _live_users(locked)
        profiles.apply_presence(locked.values(), live=live, leaving=leaving)
    names = [name for name in expired.values() if name != ORPHANAGE]
    if only_lapsed and names:
        logger.warning(
            "expired %d server processes whose lease had run out: %s; %d of their users have no other socket, and go "
            "offline in %.0f seconds unless they reconnect",
            len(names),
            ", ".join(names),
            len(user_ids - live),
            grace,
        )
    return len(names)


def _mark_overdue_offline() -> tuple[int, bool]:
    """Mark users offline whose grace period is over, unless they have a live connection.

    Returns how many went offline, and whether there may be more.
    """
    with transaction.atomic():
        locked = {profile.user_id: profile for profile in profiles.lock_overdue(limit=OFFLINE_BATCH_SIZE)}
        offline = profiles.apply_presence(locked.values(), live=_live_users(locked), overdue=locked)
    return len(offline), len(locked) == OFFLINE_BATCH_SIZE


def mark_unconnected_leaving() -> None:
    """Start the grace period of profiles that are online without any connection: after a restored backup, say."""
    connections = Connection.objects.filter(user_id=OuterRef("user_id"))
    unconnected = UserProfile.objects.filter(~Exists(connections), is_online=True, offline_after=None)
    with transaction.atomic():
        locked = list(unconnected.order_by("user_id").select_for_update())
        # (A user who connects at this moment is found live when the grace period is over.)
        leaving = {profile.user_id: EXPIRED_GRACE_SECONDS for profile in locked}
        profiles.apply_presence(locked, live=(), leaving=leaving)
