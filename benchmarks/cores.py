"""Which process runs on which core, and how much CPU time it has had. Linux only."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# A load client that needs more of its core measures itself: its figure is a lower bound.
MAX_CLIENT_SHARE = 0.7


@dataclass(frozen=True)
class Cores:
    """`server`: the core of the measured server. `load`: those of everything else."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def available(cls) -> "Cores":
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(frozenset([first]), frozenset(others or [first]))

    @classmethod
    def unpinned(cls) -> "Cores":
        every = frozenset(os.sched_getaffinity(0))
        return cls(every, every)

    @property
    def apart(self) -> bool:
        return self.server != self.load

    def __str__(self) -> str:
        if len(self.server) > 1:
            return "server and load on all cores"
        if not self.apart:
            return "one core only: server and load share it, and every figure is a lower bound"
        return f"server on core {_listed(self.server)}, everything else on {_listed(self.load)}"


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


@contextlib.contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """What this thread starts meanwhile runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int, *, family: bool = False) -> float:
    """Return the CPU time of a process. `family`: with that of its children, ended ones included."""
    user, system, of_ended, system_of_ended = _times(pid)
    if not family:
        return (user + system) / TICKS
    total = user + system + of_ended + system_of_ended
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += sum(_times(int(child))[:2])
    return total / TICKS


def _times(pid: int) -> tuple[int, int, int, int]:
    # The second field is the program's name, which may contain blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, of_ended, system_of_ended = map(int, fields[11:15])
    return user, system, of_ended, system_of_ended
