import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging import broadcast_jobs, pruning
from messaging.management.base import DatabaseCommand

MAX_DAYS = 36_500
PROGRESS_SECONDS = 2.0


class Command(DatabaseCommand):
    help = (
        "Remove notifications older than --days from every device (ephemeral ones, such as presence, after a day), and "
        "permanently delete what was removed more than 30 days ago: until then, clients that were away can catch up. "
        "Works in small batches, safe while servers run, can be interrupted at any time. Run it daily."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, required=True, metavar="N", help="how long to keep notifications, in days"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what would be removed and deleted"
        )

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must be from 1 to {MAX_DAYS}.")
        age = timedelta(days=days)
        if dry_run:
            outdated = sum(rows.count() for rows in pruning.outdated(age))
            expired = pruning.expired_tombstones().count()
            self.stdout.write(f"{outdated} notifications would be removed, {expired} permanently deleted.")
            return
        removed = self.run_batches("removed", pruning.remove_outdated(age))
        deleted = self.run_batches("permanently deleted", pruning.delete_expired_tombstones())
        broadcast_jobs.forget(age)
        self.stdout.write(f"{removed} notifications removed, {deleted} permanently deleted.")

    def run_batches(self, what: str, batches: Iterator[int]) -> int:
        """Run through the batches, print the progress from time to time, and return the sum."""
        total, shown = 0, time.monotonic()
        try:
            for count in batches:
                total += count
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    self.stdout.write(f"{total} {what} so far")
                    self.stdout.flush()
                    shown = time.monotonic()
        except KeyboardInterrupt:
            # Every batch is committed: the next run continues from here.
            raise CommandError(f"Stopped: {total} {what}.", returncode=130) from None
        return total
