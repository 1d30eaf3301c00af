"""(a) Announcements to all, stored; (b) the same frames, not stored; (c) pushes to one user each, not stored."""

from benchmarks import measuring
from benchmarks.bench import Bench
from benchmarks.contestants import OURS, SOCKETIO, STOCK, Contestant
from benchmarks.measuring import Values

PREFIXES = {OURS.kind: "doorbell", STOCK.kind: "tutorial", SOCKETIO.kind: "socketio"}
# A sweep would find sockets that have seen more than the database has.
WITHOUT_SWEEPS = {"REALTIME_SWEEP_SECONDS": "3600"}


def run_stored_fanout(bench: Bench) -> None:
    """(a) Beside the stock server that stores row by row there are the peers that store nothing."""
    people, announcements = bench.sizes.people, bench.sizes.announcements

    def announce(one: Contestant) -> Values:
        if one.subject.kind == OURS.kind:
            return fan_out(one, "notify_all", announcements, people)
        return fan_out(one, "push_all", announcements, people)

    def announce_one_by_one(one: Contestant) -> Values:
        return fan_out(one, "notify_all", bench.sizes.stored_one_by_one, people)

    contestants = bench.contestants([*bench.own, *bench.peers], people=people, connected=True)
    case = f"announcement to {people:,}, ours stored, peers' not"
    bench.by_turns("a", case, contestants, announce, "frames_per_second")
    storing = [one for one in contestants if one.subject.kind in (OURS.kind, STOCK.kind)]
    case = f"announcement to {people:,}, all stored"
    bench.by_turns("a", case, storing, announce_one_by_one, "frames_per_second")
    bench.by_turns("a", f"bare INSERT of {people:,} rows", bench.own_of(contestants), bare_all, "call_ms")


def bare_all(one: Contestant) -> Values:
    return measuring.write(one, "doorbell.bare_all", one.users, count=5, frames_each=0)


def run_pushed(bench: Bench) -> None:
    """(b) and (c): what hub and sockets can."""
    sizes = bench.sizes
    contestants = bench.contestants(
        [*bench.own, *bench.peers], people=sizes.people, connected=True, extra=WITHOUT_SWEEPS
    )
    for count, several in ((sizes.announcements, "in a row"), (1, "alone")):

        def all_at_once(one: Contestant, count: int = count) -> Values:
            return fan_out(one, "push_all", count, sizes.people)

        case = f"frame to {sizes.people:,}, {count} {several}, nothing stored"
        bench.by_turns("b", case, contestants, all_at_once, "frames_per_second")
    for rate in sizes.push_rates:

        def paced(one: Contestant, rate: int = rate) -> Values:
            return measuring.write(one, work(one, "push"), one.users, rate=rate, seconds=sizes.seconds)

        case = f"push to one, nothing stored, {f'{rate:,}/s' if rate else 'as fast as possible'}"
        bench.by_turns("c", case, contestants, paced, "p50_ms" if rate else "frames_per_second")


def work(one: Contestant, name: str) -> str:
    return f"{PREFIXES[one.subject.kind]}.{name}"


def fan_out(one: Contestant, name: str, count: int, people: int) -> Values:
    return measuring.write(one, work(one, name), one.users, count=count, frames_each=people)
