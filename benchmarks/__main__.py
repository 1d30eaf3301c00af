"""`make bench`: measures Doorbell beside its peers, or beside another checkout of itself."""

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.live.servers import base_environment
from tools.services import ServiceError, redis

from . import page, report
from .bench import Bench, log
from .contestants import NO_HOP, OURS, SOCKETIO, STOCK, Subject
from .cores import Cores, pinned
from .scenarios import ALIASES, SCENARIOS
from .services import DurablePostgres
from .sizes import FULL, SIZES


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Doorbell beside stock Channels and python-socketio, by turns. It starts its own "
        "PostgreSQL (with fsync), Redis and servers, and removes them at the end.",
        epilog="Scenarios: "
        + "; ".join(f"({letter}) {scenario.what}" for letter, scenario in SCENARIOS.items()),
    )
    parser.add_argument("--only", metavar="d,e", help="run these scenarios only, and leave the page as it is")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: for comparing, not for quoting")
    parser.add_argument(
        "--toy", action="store_true", help="the smallest sizes: whether everything still runs"
    )
    parser.add_argument(
        "--against",
        metavar="PATH",
        type=Path,
        help="measure this checkout and the one at PATH by turns (named `before`), each with its own server, "
        "migrations and writers, and no peers; one virtual environment for both",
    )
    parser.add_argument("--peers", action="store_true", help="with --against: the peers, too")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md as it is")
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="where the figures go (default: var/bench.json)"
    )
    chosen = parser.parse_args(arguments)
    unknown = set((chosen.only or "").split(",")) - {"", *SCENARIOS, *ALIASES}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if chosen.against and not (chosen.against / "manage.py").exists():
        parser.error(f"{chosen.against} is no checkout: it has no manage.py")
    if not hasattr(os, "sched_setaffinity"):
        parser.error("it pins processes to cores and reads their CPU time from /proc: it needs Linux")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options(arguments)
    sizes = SIZES["toy" if chosen.toy else "quick" if chosen.quick else "full"]
    own, peers = [OURS], [STOCK, *([] if chosen.toy else [NO_HOP]), SOCKETIO]
    if chosen.against:
        own = [OURS, Subject("before", "doorbell", chosen.against.resolve())]
        peers = peers if chosen.peers else []
    named = chosen.only.split(",") if chosen.only else SCENARIOS
    letters = list(dict.fromkeys(ALIASES.get(letter, letter) for letter in named))
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    cores = Cores.unpinned() if chosen.toy else Cores.available()
    log(f"{sizes.name} run of {', '.join(letters)}: {cores}")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned(cores.load))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-bench-")))
        try:
            postgres = stack.enter_context(DurablePostgres())
            redis_url = stack.enter_context(redis()).url
        except ServiceError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 3
        environment = base_environment(folder) | {
            "REDIS_URL": redis_url,
            "API_RATE_LIMIT": "False",
            "LOG_LEVEL": "WARNING",
            "REALTIME_MAX_CONNECTIONS_PER_USER": "200",
        }
        environment.pop("PYTHONPYCACHEPREFIX", None)
        bench = Bench(sizes, cores, postgres, environment, folder, own, peers)
        stack.callback(bench.close)
        for letter in letters:
            log(f"({letter}) {SCENARIOS[letter].what}")
            SCENARIOS[letter].run(bench)
    result = report.Result.of(bench, letters, time.monotonic() - began)
    print(report.table(result))
    if sizes is FULL and not (chosen.only or chosen.against or chosen.no_page):
        page.write(result)
    path = report.write_json(result, chosen.json)
    log(f"{time.monotonic() - began:.0f} s; the figures are in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
