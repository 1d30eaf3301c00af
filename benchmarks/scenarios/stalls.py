"""(h) The longest stall of the server's event loop: while all connect, are sent an announcement, and leave."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks import measuring
from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.measuring import Values

AT_ONCE = 1000


def run(bench: Bench) -> None:
    count = bench.sizes.sockets

    def leave(one: Contestant) -> None:
        one.clients.ask("close")
        time.sleep(bench.sizes.seconds / 2)

    def storm(one: Contestant) -> Values:
        one.renew(watched=True)
        one.open_sockets(min(10, count))
        stalled(one, lambda: None)
        works = {"doorbell": "doorbell.notify_all"}
        work = works.get(one.subject.kind, f"{one.subject.kind}.push_all")
        return {
            "opening_stall_ms": stalled(one, lambda: one.open_sockets(count, at_once=AT_ONCE)),
            "announcement_stall_ms": stalled(
                one, lambda: measuring.write(one, work, one.users, count=2, frames_each=count)
            ),
            "closing_stall_ms": stalled(one, lambda: leave(one)),
        }

    contestants = bench.contestants([*bench.own, *bench.peers], people=count)
    case = f"{count:,} sockets: longest stall of the event loop"
    bench.by_turns("h", case, contestants, storm, "opening_stall_ms")


def stalled(one: Contestant, work: Callable[[], Any]) -> float:
    """Return the longest stall, in milliseconds, while something is done."""
    work()
    return one.longest_stall()
