from typing import Any

from django.core.management.base import BaseCommand

from realtime.presence import leases


class Command(BaseCommand):
    help = (
        "Look for server processes whose lease has run out, and for users whose grace is over. Every server process "
        "does this every two seconds; by hand it is needed only when none runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        processes = offline = 0
        more = True
        while more:
            reaped = leases.reap()
            processes, offline = processes + reaped.processes, offline + reaped.offline
            more = reaped.more
        self.stdout.write(f"{processes} dead server processes buried, {offline} users turned offline.")
        if processes:
            self.stdout.write(
                f"Whoever was connected there is offline in {leases.BURIED_SECONDS:.0f} seconds, unless they come back:"
                " run this again then."
            )
