"""Leases, written by leases.py alone: which server processes live, with which sockets. And the tickets of auth.py."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ServerProcess(models.Model):
    """A server process, alive until `lease_until` by the database's clock."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "server processes"

    def __str__(self) -> str:
        return self.name


class Connection(models.Model):
    """A live socket. It answers "why is this user online?"."""

    id = models.UUIDField(primary_key=True)
    process = models.ForeignKey(ServerProcess, on_delete=models.CASCADE, related_name="connections")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connections")
    login_hash = models.CharField(max_length=64)
    opened_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["opened_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.opened_at:%H:%M:%S}"


class Ticket(models.Model):
    """A way into the socket for clients without a cookie: 30 seconds, once. Only its hash is kept."""

    hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"Ticket of {self.user}"
