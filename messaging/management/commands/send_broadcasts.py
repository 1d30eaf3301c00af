from typing import Any

from messaging import broadcast_jobs
from messaging.management.base import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Send the admin's broadcasts that wait, or that a process which has ended left unfinished; return when they "
        "are sent. `manage.py serve` does so by itself. Nobody is notified twice."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        ended = broadcast_jobs.run_due()
        if options["verbosity"] > 0:
            self.stdout.write(f"{ended} broadcasts sent.")
