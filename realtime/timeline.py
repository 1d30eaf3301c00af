"""Notices a database that is older than what server processes have seen: restored, or a standby that had lagged.

Every process dates the database's one Timeline row, and remembers the date, in its memory and in the channel layer's
Redis. The row never goes back by itself: with a date below a remembered one, writes that servers have seen are missing.
`manage.py after_restore` begins another timeline, with which no earlier date is compared.
"""

import contextlib
import logging
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import DatabaseError, router
from django.db.models import F
from django.db.models.functions import Greatest, Now

from . import redis_hosts
from .database import database
from .db_threads import in_thread
from .default_layer import get_channel_layer
from .models import Timeline

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0


class TimelineWatch:
    """What this process remembers. `missing_since`: the date of a database that is older than that."""

    def __init__(self) -> None:
        self.missing_since: datetime | None = None
        self._older: UUID | None = None
        self._seen: dict[UUID, datetime] = {}

    async def watch(self) -> None:
        """Check, unless the database is known to be away, which isn't reported here."""
        if database.is_available:
            with contextlib.suppress(DatabaseError):
                await in_thread(self.check)

    def check(self) -> None:
        """Compare the database's date with what is remembered, then date it. Waits for Redis, for a second or two."""
        name = self.compare()
        if name is None:
            _timelines().get_or_create(id=1)
            return
        if self.missing_since is not None:
            # It isn't dated: the next process that starts has to notice, too.
            return
        rows = _timelines().filter(name=name)
        rows.update(seen_at=Greatest(F("seen_at"), Now()))
        if dated := rows.values_list("seen_at", flat=True).first():
            self._seen[name] = dated
            _write_redis(name, dated)

    def compare(self) -> UUID | None:
        """Find out whether the database is older than what is remembered. Returns the name of its timeline, if any."""
        # Before the row is read: what Redis remembers had been committed by then.
        remembered = _read_redis()
        timeline: Timeline | None = _timelines().filter(id=1).first()
        if timeline is None:
            return None
        name = timeline.name
        seen = max(
            (at for at in (self._seen.get(name), remembered.get(name)) if at), default=timeline.seen_at
        )
        # Once older, always older: a process that remembers nothing may have dated it since.
        if timeline.seen_at < seen or name == self._older:
            self._older = name
            self._seen[name] = seen
            self._report(timeline.seen_at, seen)
        else:
            self.missing_since = self._older = None
        return name

    def _report(self, found: datetime, seen: datetime) -> None:
        if self.missing_since is None:
            self.missing_since = found
            logger.error(
                "the database is older than what servers have seen: it was last written to by a server at %s, but they "
                "have seen %s; it was restored from a backup, or a standby took over that lagged, and clients may keep "
                "what is gone: run `manage.py after_restore`",
                f"{found:%Y-%m-%d %H:%M:%S} UTC",
                f"{seen:%Y-%m-%d %H:%M:%S} UTC",
            )


def begin() -> None:
    """Begin another timeline."""
    _timelines().update_or_create(id=1, defaults={"name": uuid4(), "seen_at": Now()})


def _timelines() -> Any:
    # A replica may lag: it is no older database.
    return Timeline.objects.using(router.db_for_write(Timeline))


# --- The channel layer's Redis, if it is one ---------------------------------------------------------------------


def _redis() -> tuple[Any, str] | None:
    """Return a client and the key of what is remembered."""
    layer = get_channel_layer()
    if not (clients := redis_hosts.clients(layer)):
        return None
    return clients[0], f"{redis_hosts.prefix(layer)}.timelines"


def _read_redis() -> dict[UUID, datetime]:
    """Return the dates of timelines. What can't be read isn't remembered."""
    try:
        if (found := _redis()) is None:
            return {}
        client, key = found
        with client:
            stored = client.hgetall(key)
        return {UUID(name.decode()): datetime.fromisoformat(at.decode()) for name, at in stored.items()}
    except Exception as error:  # of any kind: Redis is away, say
        logger.debug("Redis doesn't say what servers have seen of the database: %r", error)
        return {}


def _write_redis(name: UUID, at: datetime) -> None:
    try:
        if (found := _redis()) is not None:
            client, key = found
            with client:
                client.hset(key, str(name), at.isoformat())
    except Exception as error:  # as above
        logger.debug("Redis doesn't remember what servers have seen of the database: %r", error)


timeline_watch = TimelineWatch()
