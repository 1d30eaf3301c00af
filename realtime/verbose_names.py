"""The names of models and their fields, as messaging/verbose_names.py sets them."""

from django.utils.translation import pgettext_lazy as _

from messaging.verbose_names import name

from .models import Connection, ServerProcess, Ticket, Timeline


def set_all() -> None:
    name(
        ServerProcess,
        _("doorbell", "server process"),
        _("doorbell", "server processes"),
        id=_("doorbell", "id"),
        name=_("doorbell", "name"),
        version=_("doorbell", "version"),
        started_at=_("doorbell", "started at"),
        lease_until=_("doorbell", "lease until"),
    )
    name(
        Connection,
        _("doorbell", "connection"),
        _("doorbell", "connections"),
        id=_("doorbell", "id"),
        process=_("doorbell", "process"),
        user=_("doorbell", "user"),
        opened_at=_("doorbell", "opened at"),
    )
    name(Ticket, _("doorbell", "ticket"), _("doorbell", "tickets"))
    name(Timeline, _("doorbell", "timeline"), _("doorbell", "timelines"))
