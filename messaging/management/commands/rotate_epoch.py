from typing import Any

from django.core.management.base import BaseCommand

from messaging import pruning


class Command(BaseCommand):
    help = (
        "Give every inbox a new epoch: the last step of restoring a backup, before the servers are started. Numbers "
        "that clients remember from before mean something else now; with the new epoch they read their lists anew when "
        "they next catch up."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{sum(pruning.rotate_epochs())} inboxes have a new epoch.")
