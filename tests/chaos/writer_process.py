"""A process that writes by the ORM: `python -m tests.chaos.writer_process CONFIG`, in an environment with DATABASE_URL.

It does what any Django process may do beside the servers, in transactions of random length, and prints a line of JSON
for each of them when it has ended. It goes on through database errors, until its stdin is closed.
"""

import json
import random
import sys
import threading
import time
from typing import Any

import django

Line = dict[str, Any]


class Rollback(Exception):
    """Raised to roll a transaction back."""


class Writer:
    """One thread. It changes only rows that it made itself, so that the last change of each is known."""

    def __init__(
        self, config: dict[str, Any], number: int, stopping: threading.Event, printing: threading.Lock
    ) -> None:
        self.random = random.Random(f"{config['seed']}-{number}")
        self.users: list[int] = config["users"]
        self.pause: float = config["threads"] / config["rate"]
        self.max_seconds: float = config["max_seconds"]
        self.changes: bool = config["changes"]
        self.stopping, self.printing = stopping, printing
        self.own_rows: list[tuple[int, int]] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            # A writer that was delayed doesn't catch up in one burst.
            due = max(due + self.random.uniform(0.5, 1.5) * self.pause, time.monotonic() - 1)
            self.write()

    def write(self) -> None:
        from django.db import Error, connection, transaction

        lines: list[Line] = []
        began, outcome = time.monotonic(), "ok"
        try:
            with transaction.atomic():
                for _ in range(self.random.choice((1, 1, 1, 2, 3))):
                    lines += self.change()
                if self.max_seconds and self.random.random() < 0.3:
                    time.sleep(self.random.random() * self.max_seconds)
                if self.random.random() < 0.1:
                    raise Rollback
        except Rollback:
            outcome = "rolled_back"
        except Error as error:
            outcome = "unknown"
            connection.close()
            self.print_lines([{"error": str(error)[:200]}])
        ended = time.monotonic()
        self.print_lines([line | {"outcome": outcome, "began": began, "ended": ended} for line in lines])
        if outcome == "ok":
            for line in lines:
                if line["change"] == "added":
                    self.own_rows += [(line["user"], pk) for pk in line["ids"]]
            del self.own_rows[:-500]
        else:
            touched = {pk for line in lines for pk in line["ids"]}
            if outcome == "unknown":
                self.own_rows = [pair for pair in self.own_rows if pair[1] not in touched]

    def change(self) -> list[Line]:
        from messaging import notifications

        chance = self.random.random()
        if chance < 0.6 or not self.own_rows or not self.changes:
            users = self.random.sample(self.users, min(len(self.users), self.random.choice((1, 1, 1, 2, 5))))
            rows = notifications.notify_many(users, "announcement", "Chaos")
            return [{"user": row.user_id, "change": "added", "ids": [row.pk]} for row in rows]
        user, pk = self.random.choice(self.own_rows)
        name, work = self.random.choice(
            [
                ("read", notifications.mark_read),
                ("unread", notifications.mark_unread),
                ("removed", notifications.remove),
            ]
        )
        return [{"user": user, "change": name, "ids": ids}] if (ids := work(user, [pk])) else []

    def print_lines(self, lines: list[Line]) -> None:
        with self.printing:
            for line in lines:
                sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def main() -> None:
    django.setup()
    config = json.loads(sys.argv[1])
    stopping, printing = threading.Event(), threading.Lock()
    writers = [Writer(config, number, stopping, printing) for number in range(config["threads"])]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
