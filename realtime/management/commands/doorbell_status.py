import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from messaging.management.arguments import seconds
from realtime.management.status import Status, read_status
from realtime.timeline import TimelineWatch

CLEAR = "\x1b[H\x1b[J"
SHOWN = 10


class Command(BaseCommand):
    help = (
        "Show whether everything is up, who is connected, whether anything is late, and whether the inboxes are right, "
        "from the database and Redis themselves. Exits with 1 if anything is wrong. Writes nothing, safe at any time."
    )
    # Where something is wrong is where it is needed.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--watch",
            type=seconds,
            nargs="?",
            const=2.0,
            metavar="SECONDS",
            help="show it again and again, every 2 seconds by default, until Ctrl-C",
        )
        parser.add_argument("--json", action="store_true", help="for programs, one object a line")
        parser.add_argument(
            "--all-inboxes",
            action="store_true",
            help="check every inbox, instead of those of connected users and the first 500",
        )

    def handle(self, *args: Any, watch: float | None, all_inboxes: bool, **options: Any) -> None:
        timeline = TimelineWatch()
        while True:
            try:
                status = read_status(watch=timeline, all_inboxes=all_inboxes)
            finally:
                connections.close_all()
            self.show(status, as_json=options["json"], clear=watch is not None)
            if watch is None:
                break
            try:
                time.sleep(watch)
            except KeyboardInterrupt:
                break
        if status.problems:
            sys.exit(1)

    def show(self, status: Status, *, as_json: bool, clear: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"ok": not status.problems, **asdict(status)}, default=str))
        else:
            # OutputWrapper has no isatty of its own without a stream's.
            start = CLEAR if clear and self.stdout.isatty() else ""
            self.stdout.write(start + "\n".join(self.lines(status)))
        self.stdout.flush()

    def lines(self, status: Status) -> Iterator[str]:
        if status.problems:
            yield self.style.ERROR(f"Doorbell {status.version}: {len(status.problems)} things are wrong")
        else:
            yield self.style.SUCCESS(f"Doorbell {status.version}: all is well")
        for problem in status.problems:
            yield self.style.ERROR(f"  ! {problem}")
        yield f"up         {status.database}; {status.layer}"
        for process in (status.processes or [])[:SHOWN]:
            known = process["version"] or "of an unknown version"
            yield (
                f"             {process['name']}, {known}, since {process['started_at']:%Y-%m-%d %H:%M:%S} UTC, "
                f"{process['sockets']} sockets"
            )
        if (more := len(status.processes or ()) - SHOWN) > 0:
            yield f"             and {more} more"
        yield f"connected  {shown(status.users)} users, {shown(status.sockets)} sockets"
        yield f"late       {shown(status.pending)} pending, the oldest for {shown(status.oldest_pending_seconds)} s"
        yield f"inboxes    {self.inboxes(status)}"

    def inboxes(self, status: Status) -> str:
        if status.wrong_inboxes is None:
            return "unknown"
        checked = f"{status.inboxes_checked} of {status.inboxes} checked"
        if not status.wrong_inboxes and not status.contradictory_rows:
            return f"right, {checked}"
        users = ", ".join(str(user_id) for user_id in status.wrong_inboxes[:SHOWN])
        return f"WRONG, {checked}: users {users or '-'}; {status.contradictory_rows} contradictory rows"


def shown(value: float | None) -> str:
    return "unknown" if value is None else str(value)
