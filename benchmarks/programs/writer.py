"""A writing process: for each line of JSON on stdin it prepares, prints "ready", waits for a line, writes, and prints
what it did as JSON.

A line has `work` (a function of work_*.py), `users`, `first` (the first marker), and `count` or `seconds`; `rate` a
second, 0 for as fast as possible.
"""

import importlib
import json
import sys
import threading
import time
from typing import Any

import django

from benchmarks.programs.work import Work

FILLER = "x" * 150
WARM_UP = 20
# Arrivals are compared with this many writes at most.
MAX_STAMPS = 20_000


class Commits:
    """When the calling thread's last statement was committed."""

    def __init__(self) -> None:
        from django.db import connection
        from django.db.backends.base.base import BaseDatabaseWrapper

        self.thread, self.at = threading.get_ident(), 0.0
        connection.execute_wrappers.append(self._execute)
        original: Any = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

        def commit(wrapper: Any) -> Any:
            result = original(wrapper)
            self._note()
            return result

        BaseDatabaseWrapper._commit = commit  # type: ignore[attr-defined]

    def _execute(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if not context["connection"].in_atomic_block:
            self._note()
        return result

    def _note(self) -> None:
        if threading.get_ident() == self.thread:
            self.at = time.monotonic()


def main() -> None:
    django.setup()
    commits = Commits()
    # By their name and users: beside others a process writes to a share of the users.
    works: dict[tuple[Any, ...], Work] = {}
    while line := sys.stdin.readline():
        order: dict[str, Any] = json.loads(line)
        key = (order["work"], *order["users"])
        if key not in works:
            works[key] = prepare(order["work"], order["users"])
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(write(works[key], order, commits)), flush=True)


def prepare(name: str, users: list[int]) -> Work:
    module, _, function = name.partition(".")
    work: Work = getattr(importlib.import_module(f"benchmarks.programs.work_{module}"), function)(users)
    for _ in range(WARM_UP if work.warms_up else 0):
        work.run([f"warm {FILLER}"] * work.at_once)
    work.flush()
    return work


def write(work: Work, order: dict[str, Any], commits: Commits) -> dict[str, Any]:
    rate, count, seconds = order["rate"], order.get("count") or 10**9, order.get("seconds") or 10**9
    done, stamps, calling = 0, list[tuple[int, float, float]](), 0.0
    cpu, began = time.process_time(), time.monotonic()
    while done < count and (now := time.monotonic()) - began < seconds:
        due = int((now - began) * rate) + 1 - done if rate else work.at_once
        if due < 1:
            time.sleep(began + done / rate - now)
            continue
        numbers = range(order["first"] + done, order["first"] + done + min(due, work.at_once, count - done))
        called = time.monotonic()
        work.run([f"#{number}# {FILLER}" for number in numbers])
        returned = time.monotonic()
        calling += returned - called
        done += len(numbers)
        if len(stamps) < MAX_STAMPS:
            # What is stored nowhere has no commit.
            committed = max(commits.at, called)
            stamps += [(number, called, committed) for number in numbers]
    ended = time.monotonic()
    work.flush()
    return {
        "count": done,
        "began": began,
        "ended": ended,
        "calling": calling,
        "cpu": time.process_time() - cpu,
        "stamps": stamps,
    }


if __name__ == "__main__":
    main()
