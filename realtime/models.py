"""The tables of presence, which only presence/leases.py writes, the tickets of auth.py, and the row of timeline.py."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging.orm.user_keys import UserKey


class ServerProcess(models.Model):
    """A server process and its lease: alive until `lease_until`, by the database's clock."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200)
    version = models.CharField(max_length=50, db_default="")
    started_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "server processes"

    def __str__(self) -> str:
        return self.name


class Connection(models.Model):
    """An open socket of a server process. While the process's lease runs, its user is online."""

    id = models.UUIDField(primary_key=True)
    process = models.ForeignKey(ServerProcess, on_delete=models.CASCADE, related_name="connections")
    user = UserKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, default_name="connections")
    login_hash = models.CharField(max_length=64)
    opened_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["opened_at"]

    def __str__(self) -> str:
        return _("%(user)s since %(time)s") % {"user": self.user, "time": f"{self.opened_at:%H:%M:%S}"}


class Ticket(models.Model):
    """Opens one socket for a client without a cookie, within 30 seconds. Only its hash is stored."""

    hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # Of any length: a session that is kept in a cookie is its own key.
    session_key = models.TextField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"Ticket of {self.user}"


class Timeline(models.Model):
    """One row: the database's history since it was made or restored, and when a server process last dated it."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    name = models.UUIDField(default=uuid.uuid4)
    seen_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.name}, seen at {self.seen_at:%Y-%m-%d %H:%M:%S}"
