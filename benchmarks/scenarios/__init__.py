"""What is measured, each scenario by its letter."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.bench import Bench

from . import durable, growth, openings, pushes, stalls


class Scenario(NamedTuple):
    what: str
    run: Callable[[Bench], None]


SCENARIOS = {
    "a": Scenario("announcements to all, stored", pushes.run_stored_fanout),
    "b": Scenario("announcements to all and (c) pushes to one, nothing stored", pushes.run_pushed),
    "d": Scenario("the durable path: notify() and Message.save(), stored and pushed", durable.run),
    "e": Scenario(
        "opening sockets at once, with login, presence, catch-up; (f) memory a socket", openings.run
    ),
    "h": Scenario("the longest stall of the event loop", stalls.run),
    "g": Scenario("growth: rows, sockets a user, users connected", growth.run),
}
# Measured together with another.
ALIASES = {"c": "b", "f": "e"}
