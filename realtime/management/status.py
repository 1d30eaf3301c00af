"""What `manage.py doorbell_status` shows, read from the database and Redis themselves, whichever processes run."""

from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from messaging import inboxes, repair
from messaging.models import Inbox, Notification
from messaging.orm import tables
from messaging.orm.querysets import batch_after
from realtime import redis_hosts
from realtime.conf import conf
from realtime.database import APPS, own_connection
from realtime.default_layer import get_channel_layer
from realtime.models import Connection, ServerProcess
from realtime.outbound.envelopes import PRESENCE_GROUP
from realtime.timeline import TimelineWatch
from realtime.version import version

# As the alert of docs/operations.md.
LATE_SECONDS = 10.0
# How long a lock is waited for, and how old a transaction is that is named if others wait for it.
LOCK_SECONDS, HELD_SECONDS = 3, 5
# Those whom others wait for, and who themselves wait for no lock.
BLOCKERS = """
    SELECT b.pid, b.application_name, b.state, extract(epoch FROM statement_timestamp() - b.xact_start), count(*)
    FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS held_by(pid)
    JOIN pg_stat_activity b ON b.pid = held_by.pid
    WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND b.wait_event_type IS DISTINCT FROM 'Lock'
        AND b.xact_start < statement_timestamp() - make_interval(secs => %s)
    GROUP BY 1, 2, 3, 4 ORDER BY 4 DESC LIMIT 3
    """


@dataclass
class Status:
    """`problems`: what is wrong, each with what to do. The rest is None where it couldn't be read."""

    version: str = ""
    database: str = ""
    layer: str = ""
    processes: list[dict[str, Any]] | None = None
    users: int | None = None
    sockets: int | None = None
    pending: int | None = None
    oldest_pending_seconds: float | None = None
    inboxes: int | None = None
    inboxes_checked: int | None = None
    wrong_inboxes: list[Any] | None = None
    contradictory_rows: int | None = None
    problems: list[str] = field(default_factory=list)


def read_status(*, watch: TimelineWatch, all_inboxes: bool = False) -> Status:
    """Read everything that answers. Writes nothing, and waits for nothing longer than some seconds."""
    status = Status(version=version())
    listening = _read_layer(status)
    if not _read_database(status):
        return status
    try:
        _read_locks(status)
        with transaction.atomic():
            _limit_lock_wait(connection)
            _read_processes(status, listening)
            _read_pending(status)
            _read_inboxes(status, all_inboxes)
            watch.compare()
    except DatabaseError as error:
        status.problems.append(f"the database stopped answering: {str(error).partition(chr(10))[0]}")
    if watch.missing_since is not None:
        status.problems.append(
            "the database is older than what servers have seen, restored perhaps: run `manage.py after_restore`"
        )
    return status


def _read_database(status: Status) -> bool:
    own = own_connection()
    try:
        if own.vendor == "postgresql":
            # A transaction, which close() ends: a pooler that hands the connection on doesn't keep the limit.
            own.set_autocommit(False)
        _limit_lock_wait(own)
        with own.cursor() as cursor:
            cursor.execute("SHOW server_version" if own.vendor == "postgresql" else "SELECT sqlite_version()")
            (number,) = cursor.fetchone()
        missing = tables.unapplied(own, APPS)
    except Exception as error:  # of any kind: the database didn't answer
        status.database = "away"
        status.problems.append(f"the database doesn't answer: {' '.join(str(error).split())}")
        return False
    finally:
        own.close()
    status.database = f"{own.display_name} {str(number).split()[0]}"
    if missing:
        status.database += ", unmigrated"
        status.problems.append(
            f"migrations are missing, run `manage.py migrate_online`: {', '.join(missing)}"
        )
    return not missing


def _limit_lock_wait(database: Any) -> None:
    """Limit it until the transaction ends. (SQLite's readers wait for no lock.)"""
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def _read_locks(status: Status) -> None:
    """Name the transactions that others wait for."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(BLOCKERS, [HELD_SECONDS])
        for pid, program, state, seconds, waiting in cursor.fetchall():
            status.problems.append(
                f"{waiting} statements wait for locks of PostgreSQL's process {pid} ({program or 'unnamed'}, {state}, "
                f"its transaction {seconds:.0f} s old): if it hangs, `SELECT pg_terminate_backend({pid})` in psql"
            )


def _read_layer(status: Status) -> int | None:
    """Returns how many processes listen in Redis. None: unknown."""
    layer = get_channel_layer()
    try:
        hosts = redis_hosts.clients(layer)
    except Exception as error:  # of any kind: the layer isn't usable
        status.layer = "unusable"
        status.problems.append(f"the channel layer can't be used: {error}")
        return None
    if not hosts:
        status.layer = f"{type(layer).__name__}, not asked"
        return None
    listening = 0
    status.layer = f"Redis ok, {len(hosts)} hosts" if len(hosts) > 1 else "Redis ok"
    for client in hosts:
        try:
            with client:
                client.ping()
                counts = client.pubsub_numsub(f"{redis_hosts.prefix(layer)}__group__{PRESENCE_GROUP}")
                listening += sum(count for _, count in counts)
        except Exception as error:  # of any kind: Redis didn't answer
            status.layer = "Redis away"
            status.problems.append(
                f"Redis doesn't answer; pushes are late until it does, none is lost: {' '.join(str(error).split())}"
            )
            return None
    return listening


def _read_processes(status: Status, listening: int | None) -> None:
    left = ExpressionWrapper(F("lease_until") - Now(), output_field=DurationField())
    alive = ServerProcess.objects.filter(lease_until__gt=Now()).annotate(
        sockets=Count("connections"), left=left
    )
    processes = list(alive.order_by("started_at"))
    status.processes = [
        {"name": one.name, "version": one.version, "started_at": one.started_at, "sockets": one.sockets}
        for one in processes
    ]
    # Renewed by a third of its time.
    silent = [one for one in processes if one.left.total_seconds() < conf.lease_seconds / 2]
    for one in silent:
        status.problems.append(
            f"the server process {one.name}, since {one.started_at:%H:%M:%S} UTC, hasn't renewed its lease for "
            f"{conf.lease_seconds - one.left.total_seconds():.0f} s: killed, or it can't write to the database. In "
            f"{one.left.total_seconds():.0f} s its {one.sockets} sockets count as closed"
        )
    sockets = Connection.objects.filter(process__lease_until__gt=Now()).order_by()
    status.sockets = sockets.count()
    status.users = sockets.values("user_id").distinct().count()
    if not status.processes:
        status.problems.append("no server process holds a lease: none runs, or none reaches the database")
    # A process listens from its first socket on.
    serving = sum(one.sockets > 0 for one in processes if one not in silent)
    if listening is not None and listening < serving:
        status.problems.append(
            f"{serving} server processes have sockets, and {listening} listen in Redis: the others deliver by the "
            "sweep, seconds later. Have all the same REDIS_URL and REALTIME_PREFIX?"
        )


def _read_pending(status: Status) -> None:
    status.pending = Notification.everything.filter(pending_since__isnull=False).count()
    status.oldest_pending_seconds = round(inboxes.oldest_pending_seconds(), 1)
    if status.oldest_pending_seconds > LATE_SECONDS:
        status.problems.append(
            f"{status.pending} notifications are committed and not delivered, the oldest for "
            f"{status.oldest_pending_seconds:.0f} s: a transaction holds their rows or inboxes, or no server runs"
        )


def _read_inboxes(status: Status, everything: bool) -> None:
    """Check those of connected users, and the first of all others; or every one."""
    status.inboxes = Inbox.objects.count()
    status.contradictory_rows = repair.contradictory_rows().count()
    connected = Connection.objects.order_by().values_list("user_id", flat=True).distinct()
    chosen = set(connected[: repair.CONNECTED_PER_ROUND])
    wrong: set[Any] = set()
    checked, last = 0, None
    while ids := batch_after(Inbox.objects.all(), last, "user_id", repair.CONNECTED_PER_ROUND):
        found = {*chosen, *ids}
        chosen, last = set(), ids[-1]
        wrong.update(repair.wrong_inboxes(found).values_list("user_id", flat=True))
        checked += len(found)
        if not everything:
            break
    status.inboxes_checked = min(checked, status.inboxes)
    status.wrong_inboxes = sorted(wrong, key=str)
    if wrong or status.contradictory_rows:
        status.problems.append(
            f"{len(wrong)} inboxes and {status.contradictory_rows} rows disagree; servers repair them in turn, and "
            "`manage.py check_inboxes --repair` at once"
        )
