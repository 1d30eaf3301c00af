import random
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from messaging.management.arguments import seconds
from messaging.orm.retry import LOCK_NOT_AVAILABLE, sqlstate

# As sysexits.h: a temporary failure, the same command may succeed later.
TEMPORARY_FAILURE = 75
PAUSE_SECONDS = 1.0
# Who holds locks on tables, and for how long their transactions have been open. Not what they do: that may be personal.
HOLDERS = """
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, ''),
        extract(epoch FROM clock_timestamp() - a.xact_start)::integer,
        string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname)
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND a.pid <> pg_backend_pid() AND c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
    GROUP BY 1, 2, 3, 4 ORDER BY 4 DESC LIMIT 3
"""


class Command(migrate.Command):
    help = (
        "Migrate beside running servers: as `migrate`, but a lock on a table is waited for only briefly, since every "
        "other query of that table waits behind it. If it isn't available, the migration is rolled back and tried "
        "again. Exits with 75 if it never was, and names the transactions that hold it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-seconds",
            type=seconds,
            default=0.5,
            help="how long a lock is waited for, and a save may wait behind it (default: 0.5)",
        )
        parser.add_argument(
            "--tries", type=int, default=60, help="how often, about a second apart (default: 60)"
        )

    def handle(self, *args: Any, lock_seconds: float, tries: int, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        try:
            for left in reversed(range(max(tries, 1))):
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT set_config('lock_timeout', %s, false)", [f"{int(lock_seconds * 1000)}ms"]
                    )
                try:
                    super().handle(*args, **options)
                    return
                except OperationalError as error:
                    if sqlstate(error) != LOCK_NOT_AVAILABLE:
                        raise
                    self._wait_or_give_up(connection, lock_seconds, tries, left)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")

    def _wait_or_give_up(self, connection: Any, lock_seconds: float, tries: int, left: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(HOLDERS)
            holders = "; ".join(
                f"process {pid} ({name}, {state}) for {age or 0} s: {tables}"
                for pid, name, state, age, tables in cursor.fetchall()
            )
        held = f"Transactions with locks: {holders}." if holders else "Whatever held it has ended meanwhile."
        if not left:
            raise CommandError(
                f"A table's lock wasn't available within {lock_seconds:g} s, in {tries} tries. The migration that "
                f"needs it was rolled back, those before it stay; servers may go on. {held} Run this again, or end "
                "the transaction in psql: SELECT pg_terminate_backend(<process>).",
                returncode=TEMPORARY_FAILURE,
            )
        self.stdout.write(f"  a lock isn't available, trying again. {held}")
        time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
