"""One run: its services, whom it measures, and the records that it collects."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .contestants import Contestant, Subject
from .cores import Cores
from .measuring import Values
from .services import DurablePostgres
from .sizes import Sizes


def log(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


@dataclass(frozen=True)
class Record:
    """One measurement. `case` is the same for all subjects that are compared."""

    scenario: str
    case: str
    subject: str
    round: int
    values: Values


@dataclass
class Bench:
    sizes: Sizes
    cores: Cores
    postgres: DurablePostgres
    environment: dict[str, str]
    folder: Path
    # Ours, and with --against the other checkout's.
    own: Sequence[Subject]
    peers: Sequence[Subject]
    records: list[Record] = field(default_factory=list)

    @contextlib.contextmanager
    def contestants(
        self, subjects: Sequence[Subject], *, people: int, history: int = 0, connected: bool = False
    ) -> Iterator[list[Contestant]]:
        """Set them up. `connected`: each user has a socket."""
        with contextlib.ExitStack() as stack:
            log(f"  {people} users and a server each: {', '.join(subject.name for subject in subjects)}")
            contestants = [
                stack.enter_context(
                    Contestant(
                        subject,
                        self.postgres,
                        self.environment,
                        self.cores,
                        self.folder,
                        people=people,
                        history=history,
                    )
                )
                for subject in subjects
            ]
            for one in contestants:
                if connected:
                    one.open_sockets(people)
            yield contestants

    def own_of(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        return [one for one in contestants if one.subject in self.own]

    def by_turns(
        self,
        scenario: str,
        case: str,
        contestants: Sequence[Contestant],
        measure: Callable[[Contestant], Values],
        figure: str,
    ) -> None:
        """Measure each contestant once a round, the order reversed in every second one. `figure` is shown."""
        for number in range(self.sizes.rounds):
            order = contestants if number % 2 == 0 else list(reversed(contestants))
            for one in order:
                values = measure(one)
                self.records.append(Record(scenario, case, one.subject.name, number + 1, values))
                log(f"  {case}, round {number + 1}, {one.subject.name}: {shown(figure, values)}")


def shown(figure: str, values: dict[str, Any]) -> str:
    return f"{figure} {values.get(figure, float('nan')):,.3g}"
