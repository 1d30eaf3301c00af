from typing import Any

from messaging.management.base import DatabaseCommand
from realtime.presence import leases


class Command(DatabaseCommand):
    help = (
        "Expire server processes whose lease has run out, and mark users offline whose grace period is over. Every "
        "server process does this every two seconds; run it by hand only while no server process runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        processes = offline = 0
        more = True
        while more:
            reaped = leases.reap()
            processes, offline = processes + reaped.processes, offline + reaped.offline
            more = reaped.more
        self.stdout.write(f"Expired {processes} server processes; marked {offline} users offline.")
        if processes:
            self.stdout.write(
                f"Users of the expired processes go offline in {leases.EXPIRED_GRACE_SECONDS:.0f} seconds unless they "
                "reconnect: run this command again then."
            )
