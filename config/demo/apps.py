from django.apps import AppConfig
from django.conf import settings


class DemoConfig(AppConfig):
    name = "config.demo"

    def ready(self) -> None:
        if settings.DEMO:
            from . import notification_types  # noqa: F401  it registers itself
