"""Broadcasts in the background: rows that a thread of any process sends, one after the other.

A thread holds a lease while it sends; when its process has died, another begins the same job again: by its key each
user is notified once. What is sent is for broadcasting.py. Who starts it: docs/operations.md, "Sending to everybody".
"""

import logging
import os
import threading
import uuid
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connections
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from . import users
from .broadcasting import Progress, broadcast
from .models import BroadcastJob

logger = logging.getLogger(__name__)

State = BroadcastJob.State
# Of a batch, and a pause of half its time, many times over.
LEASE = timedelta(seconds=30)


def count(group_id: int | None) -> int:
    """Return how many users a job would notify. (Where only Python knows who is active, at most.)"""
    return users.active_of(group_id).order_by().values("pk").distinct().count()


def create(key: str, group_id: int | None, content: dict[str, Any], **about: Any) -> BroadcastJob | None:
    """Store a job. `content`: what `broadcast` is given. Returns None if there is one with this key."""
    columns = {name: value or "" for name, value in content.items()}
    job, is_new = BroadcastJob.objects.get_or_create(
        key=key, defaults={"group_id": group_id, "total": count(group_id), **columns, **about}
    )
    return job if is_new else None


def cancel(pk: Any) -> bool:
    """End a job after its present batch. Returns whether it was under way."""
    rows = BroadcastJob.objects.filter(pk=pk, state__in=(State.WAITING, State.SENDING))
    return bool(rows.update(state=State.CANCELLED, finished_at=Now(), leased_until=None))


def resume(pk: Any) -> bool:
    """Have a job that was cancelled, or failed, go on. Returns whether it had been."""
    rows = BroadcastJob.objects.filter(pk=pk, state__in=(State.CANCELLED, State.FAILED))
    return bool(rows.update(state=State.WAITING, finished_at=None, error="", leased_until=None))


def forget(age: timedelta) -> int:
    """Delete jobs that ended so long ago. Returns how many."""
    return BroadcastJob.objects.filter(finished_at__lt=Now() - age).delete()[0]


def due() -> QuerySet[BroadcastJob]:
    """Return the jobs that no process sends: new ones, and those whose process has died."""
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    return BroadcastJob.objects.filter(free, state__in=(State.WAITING, State.SENDING)).order_by("pk")


def run_due(stop: threading.Event | None = None) -> int:
    """Send what is due, in this thread, outside of transactions. Returns how many jobs ended."""
    ended, tried = 0, set[Any]()
    while (job := _claim(tried)) is not None:
        tried.add(job.pk)
        ended += _send(job, stop or threading.Event())
    return ended


def _claim(tried: set[Any]) -> BroadcastJob | None:
    worker = uuid.uuid4().hex
    for job in due().exclude(pk__in=tried):
        # Of several at once one finds it free.
        mine = {"state": State.SENDING, "worker": worker, "leased_until": Now() + LEASE}
        if due().filter(pk=job.pk).update(**mine):
            job.worker = worker
            return job
    return None


def _send(job: BroadcastJob, stop: threading.Event) -> bool:
    """Send it, until it is done, cancelled, or the process ends. Returns whether it has ended."""
    named: dict[str, Any] = {"job": job.pk}
    try:
        receivers = users.only_active(users.active_of(job.group_id))
        sending = broadcast(
            receivers,
            job.notification_type,
            job.title or None,
            job.description,
            key=job.key,
            level=job.level or None,
            url=job.url or None,
        )
        for progress in sending:
            if not _is_still_ours(job, progress):
                return False
            if stop.is_set():
                _held(job).update(leased_until=None)
                return False
        ended = _held(job).update(state=State.SENT, finished_at=Now(), leased_until=None)
    except (OperationalError, InterfaceError) as error:
        named["error"] = error
        logger.warning("broadcast interrupted, it goes on within 30 s: job=%(job)s %(error)r", named)
        return False
    except Exception as error:
        logger.exception("broadcast failed; it can be resumed in the admin: job=%(job)s", named)
        _held(job).update(state=State.FAILED, error=str(error), finished_at=Now(), leased_until=None)
        return True
    if ended:
        logger.info("broadcast sent: job=%(job)s", named)
    return bool(ended)


def _held(job: BroadcastJob) -> QuerySet[BroadcastJob]:
    return BroadcastJob.objects.filter(pk=job.pk, worker=job.worker, state=State.SENDING)


def _is_still_ours(job: BroadcastJob, progress: Progress) -> bool:
    """Store the progress and renew the lease, unless it was cancelled, or another thread has taken it up."""
    changes: dict[str, Any] = {"done": progress.done, "leased_until": Now() + LEASE}
    if progress.total is not None:
        changes["total"] = progress.total
    return bool(_held(job).update(**changes))


class _Worker:
    """The thread of this process, while there is something to send."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._lock:
            if not self._stop.is_set() and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="broadcast", daemon=True)
                self._thread.start()

    def stop(self, seconds: float) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            run_due(self._stop)
        except Exception as error:
            # The next call of `start_due` tries again.
            logger.warning("broadcasts wait: %r", error)
        finally:
            connections.close_all()


_worker = _Worker()
os.register_at_fork(after_in_child=_worker._begin)


def start_due() -> None:
    """Have what is due sent by a thread of this process. Returns at once."""
    if due().exists():
        _worker.start()


def stop(seconds: float) -> None:
    """End the thread after its present batch: another process goes on. For one that ends."""
    _worker.stop(seconds)
