from django.apps import AppConfig


class TutorialConfig(AppConfig):
    name = "benchmarks.peers.tutorial_app"
    label = "tutorial"

    def ready(self) -> None:
        from . import receivers

        receivers.connect()
