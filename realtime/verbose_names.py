"""The names of models and their fields, as messaging/verbose_names.py sets them."""

from django.utils.translation import pgettext_lazy

from messaging.verbose_names import name

from .models import Connection, ServerProcess, Ticket, Timeline


def set_all() -> None:
    name(
        ServerProcess,
        pgettext_lazy("doorbell", "server process"),
        pgettext_lazy("doorbell", "server processes"),
        id=pgettext_lazy("doorbell", "id"),
        name=pgettext_lazy("doorbell", "name"),
        version=pgettext_lazy("doorbell", "version"),
        started_at=pgettext_lazy("doorbell", "started at"),
        lease_until=pgettext_lazy("doorbell", "lease until"),
    )
    name(
        Connection,
        pgettext_lazy("doorbell", "connection"),
        pgettext_lazy("doorbell", "connections"),
        id=pgettext_lazy("doorbell", "id"),
        process=pgettext_lazy("doorbell", "process"),
        user=pgettext_lazy("doorbell", "user"),
        opened_at=pgettext_lazy("doorbell", "opened at"),
    )
    name(Ticket, pgettext_lazy("doorbell", "ticket"), pgettext_lazy("doorbell", "tickets"))
    name(Timeline, pgettext_lazy("doorbell", "timeline"), pgettext_lazy("doorbell", "timelines"))
