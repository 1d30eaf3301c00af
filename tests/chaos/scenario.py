"""A scenario: a test with its demand and its result. The modules in scenarios/ register theirs here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .run import Run


@dataclass(slots=True)
class Result:
    """The figures of a test, and whether they meet its demand."""

    figure: str
    met: bool
    # A control is met when the checker found its fault.
    control: bool = False

    def __str__(self) -> str:
        if self.control:
            return "failed, as it must" if self.met else "NOT detected"
        return "met" if self.met else "NOT met"


ScenarioFunction = Callable[[Run], Awaitable[Result]]
Decorator = Callable[[ScenarioFunction], ScenarioFunction]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    how: str
    demand: str
    run: ScenarioFunction
    needs_root: bool = False


scenarios: dict[str, Scenario] = {}


def scenario(name: str, *, how: str, demand: str, needs_root: bool = False) -> Decorator:
    """Register a function as the test of this name."""

    def register(function: ScenarioFunction) -> ScenarioFunction:
        scenarios[name] = Scenario(name, how, demand, function, needs_root)
        return function

    return register


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def mb(count: float) -> str:
    return f"{count / 1024 / 1024:.0f} MB"
