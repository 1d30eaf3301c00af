from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from messaging import pruning
from messaging.management.base import DatabaseCommand
from messaging.orm import tables
from realtime import timeline
from realtime.database import APPS

FORGOTTEN = (
    "What has ended since the backup was made is valid again: sign-outs, revoked API tokens, deactivated users, "
    "changed passwords. To end every session, set another SECRET_KEY, without the present one in SECRET_KEY_FALLBACKS; "
    "look through the API tokens in the admin."
)


class Command(DatabaseCommand):
    help = (
        "The last step of restoring a backup, and of a failover to a standby that had lagged. Gives every inbox a new "
        "epoch, so that clients read their lists again instead of keeping what is gone, begins another timeline, and "
        "repairs and checks all inboxes. Safe to repeat, and while servers run."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if missing := tables.unapplied(connection, APPS):
            raise CommandError(
                "The restored database lacks migrations: run `manage.py migrate`, then this again. "
                f"({', '.join(missing)})"
            )
        count = sum(pruning.rotate_epochs())
        self.stdout.write(f"{count} inboxes got a new epoch: their clients read their lists again.")
        timeline.begin()
        call_command("check_inboxes", repair=True, stdout=self.stdout, stderr=self.stderr)
        self.stdout.write(FORGOTTEN)
        self.stdout.write(self.style.SUCCESS("Restored: the servers may be started."))
