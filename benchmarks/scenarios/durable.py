"""(d) The durable path: how many writes a second, at what cost, and how long after the commit the frame is there."""

from benchmarks import measuring
from benchmarks.bench import Bench
from benchmarks.contestants import STOCK, Contestant
from benchmarks.measuring import Values

# What each kind of server is asked to do under the same heading.
WORKS = {
    "notify()": {"doorbell": "doorbell.notify", "tutorial": "tutorial.notify"},
    "notify() in the caller's transaction": {
        "doorbell": "doorbell.notify_in_transaction",
        "tutorial": "tutorial.notify_in_transaction",
    },
    "Message.save()": {"doorbell": "doorbell.save", "tutorial": "tutorial.save"},
}


def run(bench: Bench) -> None:
    subjects = [*bench.own, *(subject for subject in bench.peers if subject.kind == STOCK.kind)]
    sizes = bench.sizes
    contestants = bench.contestants(subjects, people=sizes.people, connected=True)
    for heading, works in WORKS.items():
        for writers in sizes.writers:

            def flood(one: Contestant, works: dict[str, str] = works, writers: int = writers) -> Values:
                return measuring.write(
                    one, works[one.subject.kind], one.users, writers=writers, seconds=sizes.seconds
                )

            case = f"{heading}, {writers} writer{'s' * (writers > 1)}"
            bench.by_turns("d", case, contestants, flood, "frames_per_second")
    for heading, works in WORKS.items():
        for rate in sizes.save_rates:

            def paced(one: Contestant, works: dict[str, str] = works, rate: int = rate) -> Values:
                return measuring.write(
                    one, works[one.subject.kind], one.users, rate=rate, seconds=sizes.seconds
                )

            bench.by_turns("d", f"{heading}, {rate}/s", contestants, paced, "p50_ms")

    def requests(one: Contestant) -> Values:
        return measuring.request(one, sizes.seconds)

    bench.by_turns("d", "Message.save() in requests, 8 at once", contestants, requests, "frames_per_second")
    bare(bench, contestants)


def bare(bench: Bench, contestants: list[Contestant]) -> None:
    """What the database alone needs for the same rows: the floor of every figure above."""
    sizes = bench.sizes
    bench.by_turns(
        "d",
        "bare INSERT of a row",
        bench.own_of(contestants),
        lambda one: measuring.write(one, "doorbell.bare", one.users, seconds=sizes.seconds, frames_each=0),
        "writes_per_second",
    )
