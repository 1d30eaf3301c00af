"""One run: its services, whom it measures, and the records that it collects."""

import time
from collections.abc import Callable, Mapping, Sequence
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
    _open: dict[str, Contestant] = field(default_factory=dict)

    def contestants(
        self,
        subjects: Sequence[Subject],
        *,
        people: int,
        history: int = 0,
        connected: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> list[Contestant]:
        """Set them up, or take those of the scenario before that are of the same size; the others are closed.

        `history`: how many notifications each user has at least. `connected`: each has a socket. `extra`: further
        environment of our servers.
        """
        history = max(history, self.sizes.history)
        for name, one in list(self._open.items()):
            if one.people != people or one.history < history:
                del self._open[name]
                one.close()
        log(f"  {people:,} users, a server each: {', '.join(subject.name for subject in subjects)}")
        for subject in subjects:
            if subject.name not in self._open:
                self._open[subject.name] = Contestant(
                    subject,
                    self.postgres,
                    self.environment,
                    self.cores,
                    self.folder,
                    people=people,
                    history=history,
                    restarts=self.sizes.restarts,
                )
        chosen = [self._open[subject.name] for subject in subjects]
        for one in chosen:
            one.prepare(connected=connected, extra=extra or {})
        return chosen

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def own_of(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        return [one for one in contestants if one.subject in self.own]

    def by_turns(
        self,
        scenario: str,
        case: str,
        contestants: Sequence[Contestant],
        measure: Callable[[Contestant], Values],
        figure: str,
        how: str = "",
    ) -> None:
        """Measure each contestant once a round, the order reversed in every second one.

        `figure` is shown meanwhile. `how`: what to add to the names, if a case has one contestant in two ways.
        """
        for one in contestants:
            # As autovacuum does within minutes: no figure depends on whether it was there already.
            one.database.query("VACUUM ANALYZE")
        for number in range(self.sizes.rounds):
            order = contestants if number % 2 == 0 else list(reversed(contestants))
            for one in order:
                values = measure(one)
                name = f"{one.subject.name}{how}"
                self.records.append(Record(scenario, case, name, number + 1, values))
                log(f"  {case}, round {number + 1}, {name}: {shown(figure, values)}")


def shown(figure: str, values: dict[str, Any]) -> str:
    return f"{figure} {values.get(figure, float('nan')):,.3g}"
