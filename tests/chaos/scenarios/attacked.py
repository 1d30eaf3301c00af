"""Attacks that cost a server time and memory, with honest people beside them, directly and behind the shipped proxy.

Attackers run in a process of their own at nice 19, from another address. The demand is the honest people's.
"""

import contextlib
import os
import sys
from dataclasses import dataclass, field

from tests.chaos.checker import Verdict
from tests.chaos.run import Run
from tests.chaos.scenario import Result, mb, ms, scenario
from tests.chaos.under_attack import Measures, Scene

PEOPLE = 20
SECONDS = float(os.environ.get("ATTACK_SECONDS", "12"))
# How long after the attack memory is looked at again.
AFTER_SECONDS = float(os.environ.get("ATTACK_AFTER_SECONDS", "10"))
DELIVERY_SECONDS = 0.25
MOST_GROWTH, GROWTH_AFTER = 128 * 2**20, 64 * 2**20
DEMAND = (
    "the others' delivery p99 ≤ 250 ms or twice what it was, nothing missing, 0 of their sockets lost, 0 of their calls"
    " refused, 0 of them shown offline at a second server; RSS ≤ +128 MB, and ≤ +64 MB afterwards"
)


@dataclass(frozen=True)
class Attack:
    """One of tests/chaos/attacks.py, and what is demanded of it beyond DEMAND."""

    name: str
    how: str
    connections: int = 100
    demand: str = ""
    # How many answers of a status there may be.
    most_answers: dict[str, int] = field(default_factory=dict)
    # What the servers may have written to temporary files, and to their logs for each of the attackers' requests.
    stored_bytes: float = float("inf")
    logged_bytes: float = float("inf")

    def is_met(self, measures: Measures) -> bool:
        answers = measures.answers
        return (
            # Attackers that found no time to attack prove nothing.
            measures.opened >= self.connections
            and all(answers[status] <= most for status, most in self.most_answers.items())
            and measures.stored <= self.stored_bytes
            and measures.logged <= self.logged_bytes * max(1, answers.total())
        )


ATTACKS = {
    "T28": Attack(
        "frames", "pongs, pings and empty continuations, without a login, after a close, and of users"
    ),
    "T29": Attack(
        "bodies",
        "1.5 GB to any address, announced or in chunks",
        demand="nothing of it is stored",
        stored_bytes=0,
    ),
    "T30": Attack("pipelined", "requests one behind the other, whose answers aren't read"),
    "T31": Attack("slow_readers", "20 documents each, hardly read"),
    "T32": Attack("sign_ins", "wrong sign-ins of ever new names, and right ones, at once"),
    "T33": Attack(
        "admin_logins",
        "guesses of one password at the admin's form",
        demand="≤ 10 guesses are judged",
        most_answers={"200": 10, "302": 0},
    ),
    "T34": Attack("replays", "handshakes of one user with `since=0` and 1,000 rows, in loops"),
    "T35": Attack("strangers", "handshakes with invalid cookies and tickets, in loops"),
    "T36": Attack(
        "flooded_inbox", "a token publishes 500 large items a call to one connected user", connections=20
    ),
    "T37": Attack("concurrent_calls", "one user's calls: lists, and marks of 1,000", connections=400),
    "T38": Attack("documents", "openapi.json and asyncapi.json, without a login"),
    "T39": Attack(
        "scanners",
        "foreign hosts, forged lines, TLS and other protocols",
        demand="≤ 300 bytes of log a request",
        logged_bytes=300,
    ),
}


async def attacked(run: Run, attack: Attack, *, behind_proxy: bool) -> tuple[str, bool]:
    """Attack servers of their own; returns the figure, and whether the demand is met."""
    scene = Scene(run, people=PEOPLE, behind_proxy=behind_proxy)
    with contextlib.closing(scene):
        await scene.open()
        measures = await scene.attack(attack.name, attack.connections, SECONDS, after_seconds=AFTER_SECONDS)
        verdict = await run.verdict()
    delivery, usual = delivery_p99(measures, verdict)
    figure = f"delivery p99 {ms(delivery)} (before {ms(usual)}); {measures}; {verdict}"
    if attack.stored_bytes < float("inf"):
        figure += f"; {mb(measures.stored)} stored"
    if attack.logged_bytes < float("inf"):
        figure += f"; {measures.logged / max(1, measures.answers.total()):.0f} bytes of log a request"
    return figure, is_met(measures, verdict) and attack.is_met(measures)


def delivery_p99(measures: Measures, verdict: Verdict) -> tuple[float, float]:
    """During the attack, and before it."""
    return (
        verdict.staleness_percentile(measures.began, measures.ended),
        verdict.staleness_percentile(measures.calm_since, measures.began),
    )


def is_met(measures: Measures, verdict: Verdict) -> bool:
    delivery, usual = delivery_p99(measures, verdict)
    # A p99 of 0 is one: of frames that came before the writer had its answer.
    was_delivered = any(measures.began <= at <= measures.ended for at, _, _ in verdict.staleness)
    return (
        verdict.ok
        and was_delivered
        and delivery <= max(DELIVERY_SECONDS, 2 * usual)
        and not (measures.lost or measures.refused.total() or measures.offline)
        and measures.most_growth <= MOST_GROWTH
        and measures.growth_after <= GROWTH_AFTER
    )


async def everywhere(run: Run, attack: Attack) -> Result:
    """The attack on `serve` itself, and then behind the proxy."""
    figures, met = [], True
    for place in ("directly", "behind the proxy"):
        inner = Run(run.testbed, f"{run.name}-{place.split()[-1]}", run.clients, 0)
        inner.seed = f"{run.seed}-{place}"
        try:
            figure, is_met_here = await attacked(inner, attack, behind_proxy=place != "directly")
            logged = inner.logged_faults()
        finally:
            await inner.close()
        if logged:
            print(logged[:3000], file=sys.stderr)
            figure += "; a server logged a fault"
        figures.append(f"{place}: {figure}")
        met = met and is_met_here and not logged
    return Result(". ".join(figures), met)


def register(name: str, attack: Attack) -> None:
    @scenario(
        name,
        how=f"{attack.connections} connections of attackers for {SECONDS:.0f} s: {attack.how}",
        demand=DEMAND if name == "T28" else f"as T28; {attack.demand}" if attack.demand else "as T28",
    )
    async def run_attack(run: Run) -> Result:
        return await everywhere(run, attack)


for _test, _chosen in ATTACKS.items():
    register(_test, _chosen)
