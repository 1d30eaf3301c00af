"""The table of broadcasts that go on in the background. Imported from models.py, like every other table."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import pgettext_lazy


class BroadcastJob(models.Model):
    """One notification for all active users, or a group's. broadcast_jobs.py writes it, and sends what is due.

    Without foreign keys: neither its sender's deletion nor the group's waits for it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("doorbell", "Waiting")
        SENDING = "sending", pgettext_lazy("doorbell", "Sending")
        SENT = "sent", pgettext_lazy("doorbell", "Sent")
        CANCELLED = "cancelled", pgettext_lazy("doorbell", "Cancelled")
        FAILED = "failed", pgettext_lazy("doorbell", "Failed")

    # The notifications' dedupe_key: however often a job is begun again, each user is notified once.
    key = models.CharField(max_length=200, unique=True)
    # None: all active users.
    group_id = models.IntegerField(null=True)
    # The group's name.
    receivers = models.CharField(max_length=200)
    notification_type = models.CharField("type", max_length=50)
    title = models.CharField(max_length=200)
    description = models.CharField(max_length=500, blank=True)
    level = models.CharField(max_length=10, blank=True)
    url = models.CharField("URL", max_length=500, blank=True)
    sent_by = models.CharField(max_length=254, blank=True)

    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    done = models.IntegerField(default=0)
    total = models.IntegerField()
    error = models.TextField(blank=True)
    created_at = models.DateTimeField("created", db_default=Now())
    finished_at = models.DateTimeField("finished", null=True)
    # Which thread sends it, and until when no other takes it up.
    worker = models.CharField(max_length=32, blank=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "broadcast"

    def __str__(self) -> str:
        return self.title or self.notification_type

    @property
    def is_under_way(self) -> bool:
        return self.state in (self.State.WAITING, self.State.SENDING)
