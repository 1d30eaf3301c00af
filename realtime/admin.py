"""Read-only pages of server processes and connections: why a user is online."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from messaging.admin.common import NAME, ReadOnlyAdmin

from .models import Connection, ServerProcess


@admin.register(ServerProcess)
class ServerProcessAdmin(ReadOnlyAdmin):
    list_display = ("name", "started_at", "lease_until", "alive", "number_of_connections")
    fields = ("id", *list_display)
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServerProcess]:
        return ServerProcess.objects.annotate(connection_count=Count("connections"), now=Now()).order_by(
            "started_at"
        )

    @admin.display(description=pgettext_lazy("doorbell", "alive"), boolean=True)
    def alive(self, process: Any) -> bool:
        """Whether its lease runs, by the database's clock."""
        return bool(process.lease_until > process.now)

    @admin.display(description=pgettext_lazy("doorbell", "connections"))
    def number_of_connections(self, process: Any) -> int:
        return int(process.connection_count)


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    list_display = ("user", "process", "alive", "opened_at")
    list_select_related = ("user", "process")
    search_fields = (f"user__{NAME}",)
    search_help_text = _(
        "Who is connected at this moment. Rows of a process that has died go when its lease ends."
    )
    fields = ("id", "user", "process", "alive", "opened_at")
    readonly_fields = ("alive",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return Connection.objects.select_related("user", "process").annotate(now=Now())

    @admin.display(description=pgettext_lazy("doorbell", "process alive"), boolean=True)
    def alive(self, connection: Any) -> bool:
        """Whether its process's lease runs, by the database's clock. If not, the connection doesn't count."""
        return bool(connection.process.lease_until > connection.now)
