from typing import Any

from messaging import pruning
from messaging.management.base import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Give every inbox a new epoch: revisions that clients remember are no longer valid, and they reload their "
        "lists when they next catch up. After restoring a backup run `manage.py after_restore` instead, which does "
        "this and the rest."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{sum(pruning.rotate_epochs())} inboxes got a new epoch.")
