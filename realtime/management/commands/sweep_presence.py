from typing import Any

from django.core.management.base import BaseCommand

from realtime import leases


class Command(BaseCommand):
    help = (
        "Look for server processes whose lease has run out, and for users whose grace is over. Every server process "
        "does this every two seconds; by hand it is needed only when none runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        reaped = leases.reap()
        self.stdout.write(
            f"{reaped.processes} dead server processes buried, {reaped.offline} users turned offline."
        )
        if reaped.processes:
            self.stdout.write(
                f"Whoever was connected there is offline in {leases.BURIED_SECONDS:.0f} seconds, unless they come back:"
                " run this again then."
            )
