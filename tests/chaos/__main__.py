"""`make chaos`: every scenario, one after the other, on real servers, and the table in docs/reliability.md."""

import argparse
import asyncio
import contextlib
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import uvloop

from tests.live.servers import ROOT
from tools import debian

from . import report
from .report import Finished
from .run import Run
from .scenario import Result, Scenario, scenarios
from .scenarios import attacked, controls, load, processes, services, slow
from .testbed import Testbed, open_testbed

assert all((attacked, controls, load, processes, services, slow))
PAGE = ROOT / "docs" / "reliability.md"
SHORT_CLIENTS = 200
# A scenario that hangs has failed; the run goes on.
MAX_SECONDS = 450


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Break real servers under load, and check the history of what was written and received.",
        epilog="It starts its own PostgreSQL, Redis, servers and clients, and removes them at the end.",
    )
    parser.add_argument("--only", metavar="T1,T3", help="run these tests only, and leave the page as it is")
    parser.add_argument("--seed", type=int, help="seed of all random choices (default: random)")
    parser.add_argument("--clients", type=int, default=2000, help="sockets in the large tests (default 2000)")
    parser.add_argument("--short", action="store_true", help=f"run with {SHORT_CLIENTS} clients")
    parser.add_argument("--list", action="store_true", help="list the tests and their demands")
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.clients = SHORT_CLIENTS
    if chosen.clients < 20:
        parser.error("--clients must be at least 20")
    unknown = set((chosen.only or "").split(",")) - {"", *scenarios}
    if unknown:
        parser.error(f"no such test: {', '.join(sorted(unknown))}; there are {', '.join(scenarios)}")
    return chosen


def chosen_scenarios(only: str | None) -> list[Scenario]:
    names = only.split(",") if only else sorted(scenarios, key=sort_key)
    return [scenarios[name] for name in names]


def sort_key(name: str) -> tuple[str, int, str]:
    number = "".join(filter(str.isdigit, name))
    return {"T": "0", "C": "1"}.get(name[0], name), int(number or 0), name


async def run_scenario(scenario: Scenario, testbed: Testbed, clients: int, seed: int) -> Result:
    run = Run(testbed, scenario.name, clients, seed)
    try:
        async with asyncio.timeout(MAX_SECONDS):
            result = await scenario.run(run)
    except Exception as error:
        traceback.print_exc()
        result = Result(f"{type(error).__name__}: {str(error)[:300]}", False)
    finally:
        await run.close()
    if logged := run.logged_faults():
        print(logged[:3000], file=sys.stderr)
        result = Result(f"{result.figure}; a server logged a fault", False, result.control)
    return result


def lacks_namespaces() -> str:
    """What is missing for dropping packets in a network namespace; "" if nothing is."""
    if os.geteuid() != 0:
        return "root"
    if shutil.which("iptables") is None and debian.can_install():
        log("apt-get install iptables, to drop packets in a network namespace")
        debian.install("iptables")
    return "" if shutil.which("iptables") else "iptables"


def log(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def main() -> int:
    chosen = options()
    picked = chosen_scenarios(chosen.only)
    if chosen.list:
        for one in picked:
            print(f"{one.name:4} {one.how}\n     demand: {one.demand}")
        return 0
    logging.basicConfig(level=logging.WARNING)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    log(f"{len(picked)} tests, {chosen.clients} clients, seed {seed}; {report.machine()}")
    finished: list[Finished] = []
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-chaos-")))
        testbed = stack.enter_context(open_testbed(folder, 5 * chosen.clients))
        for one in picked:
            if one.needs_root and (lacking := lacks_namespaces()):
                log(f"{one.name} drops packets in a network namespace, and so needs {lacking}: skipped")
                continue
            log(f"{one.name}: {one.how}")
            start = time.monotonic()
            result = uvloop.run(run_scenario(one, testbed, chosen.clients, seed))
            finished.append(Finished(one, result, time.monotonic() - start))
            log(f"{one.name}: {result}: {result.figure} ({finished[-1].seconds:.0f} s)")
            if not chosen.only and not chosen.no_page:
                # After each, so that a run that is cut off leaves what it found.
                seconds = time.monotonic() - began
                report.write(PAGE, report.table(finished, clients=chosen.clients, seed=seed, seconds=seconds))
    seconds = time.monotonic() - began
    failed = [one.scenario.name for one in finished if not one.result.met]
    log(f"{len(finished) - len(failed)} of {len(finished)} met in {seconds:.0f} s; seed {seed}")
    if failed:
        log(f"not met: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
