import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging import pruning

MAX_DAYS = 36_500
PROGRESS_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Remove notifications older than --days from every device (those about somebody's presence after a day), and "
        "delete for good what was removed more than 30 days ago: until then, clients that were away can catch up. "
        "It works in small batches, may run while the server does, and may be stopped at any time. Run it daily."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, required=True, metavar="N", help="how long notifications are kept, in days"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count what would go")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must be from 1 to {MAX_DAYS}.")
        age = timedelta(days=days)
        if dry_run:
            outdated = sum(rows.count() for rows in pruning.outdated(age))
            forgotten = pruning.forgotten().count()
            self.stdout.write(f"{outdated} notifications would be removed, and {forgotten} deleted for good.")
            return
        removed = self.work("removed", pruning.remove_outdated(age))
        deleted = self.work("deleted for good", pruning.delete_forgotten())
        self.stdout.write(f"{removed} notifications removed, and {deleted} deleted for good.")

    def work(self, what: str, batches: Iterator[int]) -> int:
        """Run through the batches, say now and then how far it is, and return the sum."""
        total, shown = 0, time.monotonic()
        try:
            for count in batches:
                total += count
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    self.stdout.write(f"{total} {what} so far")
                    self.stdout.flush()
                    shown = time.monotonic()
        except KeyboardInterrupt:
            # Each batch was complete: the next run goes on from here.
            raise CommandError(f"Stopped: {total} {what}.", returncode=130) from None
        return total
