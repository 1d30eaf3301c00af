from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import channel_layer, checks, wiring_checks  # noqa: F401  the checks register themselves
        from .outbound import receivers

        receivers.connect()
        channel_layer.import_configured()
