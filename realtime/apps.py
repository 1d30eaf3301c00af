from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"

    def ready(self) -> None:
        from . import checks, receivers  # noqa: F401  the checks register themselves

        receivers.connect()
