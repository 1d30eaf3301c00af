"""What a writer does, once or several times in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def nothing() -> None:
    """There is nothing to wait for."""


@dataclass(frozen=True)
class Work:
    """`run` gets a text for each write, up to `at_once` of them. `flush` waits until all of it has left."""

    run: Callable[[Sequence[str]], None]
    at_once: int = 1
    flush: Callable[[], None] = nothing
    warms_up: bool = True
