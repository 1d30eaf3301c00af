from typing import Any

from messaging import pruning
from messaging.management.base import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Give every inbox a new epoch: the last step of restoring a backup, before the servers are started. Revisions "
        "that clients remember are no longer valid after a restore; with the new epoch they reload their lists when "
        "they next catch up."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{sum(pruning.rotate_epochs())} inboxes got a new epoch.")
