"""Measures a large table: plans and timings of reads, marks and pruning, and how long other writers wait meanwhile.

`make growth`, or on a PostgreSQL server of your own `DATABASE_URL=postgres://… python -m benchmarks.growth`. It makes a
database of its own there, and drops it at the end.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]
NAME = f"growth_{os.getpid()}"
TABLE = "messaging_notification"
TRIES = 20


def print_line(text: str = "") -> None:
    print(text, flush=True)


@contextlib.contextmanager
def database(url: str) -> Iterator[str]:
    """A migrated database, and Django set up for it."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{NAME}"'.encode())
        try:
            os.environ |= {
                "DATABASE_URL": urlunsplit(urlsplit(url)._replace(path=f"/{NAME}")),
                "DJANGO_SETTINGS_MODULE": "config.settings",
                # All statements run on this thread, and no call is rate limited.
                "REALTIME_RELAY": "0",
                "API_RATE_LIMIT": "False",
                "DEBUG": "False",
                "SECRET_KEY": "for-an-hour-at-most",
                "LOG_LEVEL": "WARNING",
            }
            import django
            from django.core.management import call_command
            from django.db import connections

            django.setup()
            call_command("migrate", verbosity=0)
            yield os.environ["DATABASE_URL"]
            connections.close_all()
        finally:
            server.execute(f'DROP DATABASE "{NAME}" WITH (FORCE)'.encode())


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many milliseconds it took, and what it returned."""
    start = time.perf_counter()
    answer = run()
    return (time.perf_counter() - start) * 1000, answer


def show(what: str, run: Callable[[], Any], tries: int = TRIES) -> None:
    """Print how long something takes (median of several), and by which indexes it finds its rows."""
    from benchmarks.plans import statements

    took = median(timed(run)[0] for _ in range(tries))
    ways = dict.fromkeys(str(scan) for sent in statements(run, table=TABLE) for scan in sent.scans)
    print_line(f"| {what} | {took:.1f} ms | {', '.join(ways)} |")


class Waiters:
    """Threads that notify a user and assign revisions repeatedly, as every save does, and time each assignment."""

    def __init__(self, **users: int) -> None:
        self._stopping = threading.Event()
        self.waits: dict[str, list[float]] = {name: [] for name in users}
        self._threads = [threading.Thread(target=self._work, args=each) for each in users.items()]

    def _work(self, name: str, user_id: int) -> None:
        from django.db import connections

        from messaging.notifications import assign_revisions, notify

        while not self._stopping.is_set():
            notify(user_id, "announcement", "Meanwhile")
            self.waits[name].append(timed(lambda: assign_revisions([user_id]))[0])
            self._stopping.wait(0.005)
        connections.close_all()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return "; ".join(
            f"{name}: {len(waits)} assignments, median {median(waits):.1f} ms, longest {max(waits):.1f} ms"
            for name, waits in self.waits.items()
        )


def measure_reading(heavy: int) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    from benchmarks.rows import RARE
    from messaging import inboxes
    from messaging.models import Notification

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(pk=heavy))
    rows = Notification.objects.filter(user_id=heavy).order_by("-id").values_list("id", flat=True)
    deep = rows[rows.count() - 100]

    def page(query: str) -> Callable[[], None]:
        def call() -> None:
            answer = client.get(f"/api/v1/notifications?limit=50{query}")
            if answer.status_code != 200:
                raise SystemExit(answer.content.decode())

        return call

    print_line("\n| reading, one of the user's pages of 50 over HTTP | median | by |\n|---|---|---|")
    show("first page", page(""))
    show("deep page", page(f"&before={deep}"))
    show("unread only", page("&unread=true"))
    show("deep among the unread", page(f"&unread=true&before={deep}"))
    show("by type, one of two", page("&notification_type=new_message"))
    show("by type, one in 997", page(f"&notification_type={RARE}"))
    show("by type, none", page("&notification_type=zzz"))
    show("unread count", lambda: inboxes.state(heavy))
    show("what a socket missed, 500 rows", lambda: inboxes.missed({heavy: inboxes.state(heavy).revision - 5}))


def measure_writing(heavy: int) -> None:
    from messaging import inboxes, notifications
    from messaging.models import Notification

    ids = iter(
        list(Notification.objects.filter(user_id=heavy, is_read=False).values_list("id", flat=True)[:500])
    )

    def mark_one() -> None:
        notifications.mark_read(heavy, [next(ids)])
        notifications.assign_revisions([heavy])

    def notify(number: int) -> Callable[[], None]:
        def call() -> None:
            notifications.notify_many([heavy] * number, "announcement", "Hello")
            notifications.assign_revisions([heavy])

        return call

    print_line("\n| writing, with the assignment of revisions | median | by |\n|---|---|---|")
    show("mark one read", mark_one)
    show("notify", notify(1))
    show("notify 100 times", notify(100), 5)
    show("notify 5,000 times", notify(5_000), 3)
    user_ids = list(
        Notification.objects.order_by("user_id").values_list("user_id", flat=True).distinct()[:500]
    )

    def notify_users() -> None:
        notifications.notify_many(user_ids, "announcement", "Hello")
        notifications.assign_revisions(user_ids)

    show("notify 500 users", notify_users, 5)
    show("unread count", lambda: inboxes.state(heavy))


def measure_mark_all(heavy: int, other: int) -> None:
    from messaging import inboxes, notifications
    from messaging.models import Notification

    notifications.mark_read(heavy)
    notifications.assign_revisions([heavy])
    rows = (
        Notification.objects.filter(user_id=heavy, is_read=True).order_by("-id").values_list("id", flat=True)
    )
    notifications.mark_unread(heavy, list(rows[:10_000]))
    notifications.assign_revisions([heavy])
    print_line("\n### Mark all read, 10,000 unread")
    with Waiters(the_same_user=heavy, another_user=other) as waiters:
        took, changed = timed(lambda: (notifications.mark_read(heavy), inboxes.state(heavy))[0])
    print_line(f"{len(changed)} marked, and revisions assigned, in {took:.0f} ms. Meanwhile, {waiters}")


def measure_pruning(heavy: int, other: int) -> None:
    from django.db import connection

    from benchmarks.rows import DAYS, analyze
    from messaging import pruning
    from messaging.models import Notification

    age = timedelta(days=DAYS // 2)

    def grow_old() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET removed_at = now() - interval '31 days' WHERE removed_at < now()"
            )

    print_line("\n| pruning, 500 rows | median | by |\n|---|---|---|")
    show("remove outdated", lambda: next(pruning.remove_outdated(age)))
    grow_old()
    show("delete forgotten", lambda: next(pruning.delete_expired_tombstones()))
    show("count, as --dry-run does", lambda: [sum(rows.count() for rows in pruning.outdated(age))], 3)
    print_line("\n### manage.py prune_notifications")
    for what in ("The older half is removed", "That is deleted"):
        analyze()
        with Waiters(a_user_who_is_pruned=heavy, another_user=other) as waiters:
            took, said = timed(lambda: manage("prune_notifications", "--days", str(age.days)))
        print_line(f"{what}: {said.splitlines()[-1]} In {took / 1000:.1f} s. Meanwhile, {waiters}")
        grow_old()
    analyze()
    print_line(f"{Notification.everything.count():,} rows are left.")
    print_line(manage("check_inboxes", "--pending-seconds", "3600").strip())


def manage(*arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"manage.py {arguments[0]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="notifications in all (default: 1000000)")
    parser.add_argument(
        "--share", type=int, default=10, help="every SHARE-th one is one user's (default: 10)"
    )
    parser.add_argument(
        "--users", type=int, default=10_000, help="users who share the others (default: 10000)"
    )
    options = parser.parse_args(arguments)
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        parser.error("it needs PostgreSQL: set DATABASE_URL to a database on it, or run `make growth`.")
    with database(url):
        from django.contrib.auth.models import User

        from benchmarks.rows import fill

        took, heavy = timed(lambda: fill(options.rows, users=options.users, share=options.share))
        print_line(f"{options.rows:,} notifications of {options.users:,} users made in {took / 1000:.0f} s.")
        other = User.objects.create_user("other-user").pk
        measure_reading(heavy)
        measure_writing(heavy)
        measure_mark_all(heavy, other)
        measure_pruning(heavy, other)
    return 0


if __name__ == "__main__":
    sys.exit(main())
