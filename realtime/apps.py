from typing import Any

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

try:
    from messaging.app_labels import refuse_others, require
except ModuleNotFoundError as error:
    # A project's own package of this name comes first on Python's path.
    raise ImproperlyConfigured(
        f"The package 'messaging' isn't Doorbell's ({error}): the project's own hides it. Give that another name, or "
        "run Doorbell as a service of its own, in a project beside this one, and publish to it over HTTP: "
        "docs/service.md."
    ) from error


class RealtimeConfig(AppConfig):
    name = "realtime"
    verbose_name = _("Doorbell: servers")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        refuse_others(self)
        require("messaging")

    def ready(self) -> None:
        from . import (  # noqa: F401  the checks register themselves
            channel_layer,
            checks,
            verbose_names,
            wiring_checks,
        )
        from .outbound import receivers

        verbose_names.set_all()
        receivers.connect()
        channel_layer.import_configured()
