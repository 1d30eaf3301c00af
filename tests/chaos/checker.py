"""Checks a history against the contract. It knows nothing of the server.

It applies frames by code of its own, on purpose, and doesn't share tests/inbox_replica.py: a mistake in the reading of
the contract would otherwise be in the clients and in their checker alike.

The kinds of fault are those of Jepsen's set-full checker (lost, phantom, stale, duplicated), and the contract's own
(order, badge, state). Source: jepsen-io/jepsen, checker.clj, `set-full`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .history import Event, FinalState, History, ReaderLog, Row, Write

MAX_EXAMPLES = 3


@dataclass
class Verdict:
    """How often each kind of fault was found, some examples, and the times from commit to arrival."""

    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    # (when, seconds, user). From commit to arrival, of readers that were live all the while.
    staleness: list[tuple[float, float, int]] = field(default_factory=list)
    # (when, seconds). From the first attempt after a backoff to `synced`.
    recoveries: list[tuple[float, float]] = field(default_factory=list)
    closes: Counter[int] = field(default_factory=Counter)
    expected: int = 0

    @property
    def ok(self) -> bool:
        return not self.faults

    def add_fault(self, kind: str, what: str) -> None:
        self.faults[kind] += 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(what)

    def staleness_percentile(
        self,
        since: float = 0.0,
        until: float = float("inf"),
        share: float = 0.99,
        users: Collection[int] | None = None,
    ) -> float:
        """The staleness, in seconds, that this share of what was committed in that time (to these) doesn't exceed."""
        return percentile(
            (
                seconds
                for at, seconds, user in self.staleness
                if since <= at <= until and (users is None or user in users)
            ),
            share,
        )

    def recovery_percentile(self, since: float = 0.0, share: float = 0.99) -> float:
        return percentile((seconds for at, seconds in self.recoveries if at >= since), share)

    def __str__(self) -> str:
        if self.ok:
            return "nothing missing, out of order, doubled or phantom"
        return ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values doesn't exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def check(history: History, final_state: FinalState) -> Verdict:
    """Check a history whose load has ended and whose readers have had time to settle."""
    verdict = Verdict()
    added = _check_writes(history.writes, final_state, verdict)
    living: dict[int, dict[int, bool]] = {}
    for pk, row in final_state.rows.items():
        if not row.removed:
            living.setdefault(row.user, {})[pk] = row.is_read
    for log in history.logs:
        reader = _Reader(log, verdict)
        for event in log.events:
            reader.apply_event(event)
        reader.end()
        if log.left:
            continue
        _check_end(reader, living.get(log.user, {}), final_state, verdict)
        _check_arrival(reader, added.get(log.user, {}), final_state, verdict)
    return verdict


# --- The writes ---------------------------------------------------------------------------------------------------


def _check_writes(
    writes: Collection[Write], final_state: FinalState, verdict: Verdict
) -> dict[int, dict[int, float]]:
    """Check that the database has what it acknowledged. Returns when each row of each user was acknowledged."""
    by_message = {
        (row.user, row.message): pk for pk, row in final_state.rows.items() if row.message is not None
    }
    # SQLite gives the id of a row that was rolled back to the next one.
    there = {
        pk for write in writes if write.outcome != "rolled_back" and not write.by_message for pk in write.ids
    }
    added: dict[int, dict[int, float]] = {}
    last: dict[int, Write] = {}
    for write in sorted(writes, key=lambda write: write.began):
        ids = [by_message.get((write.user, pk), 0) for pk in write.ids] if write.by_message else write.ids
        if write.outcome == "rolled_back":
            if write.change == "added":
                for pk in (final_state.rows.keys() & set(ids)) - there:
                    verdict.add_fault("phantom", f"row {pk} was rolled back, and is there")
            continue
        last |= dict.fromkeys(ids, write)
        if write.outcome == "ok" and write.change == "added":
            added.setdefault(write.user, {}).update(dict.fromkeys(ids, write.ended))
    for pk, write in last.items():
        found = final_state.rows.get(pk)
        if write.outcome == "ok" and (found is None or not _agrees(write, found)):
            verdict.add_fault("lost by the database", f"row {pk} is {found} after {write}")
    return {
        user: {pk: at for pk, at in rows.items() if pk in final_state.rows} for user, rows in added.items()
    }


def _agrees(write: Write, row: Row) -> bool:
    match write.change:
        case "added":
            return not row.removed
        case "read":
            return row.is_read and not row.removed
        case "unread":
            return not row.is_read and not row.removed
        case "removed":
            return row.removed


# --- One reader ---------------------------------------------------------------------------------------------------


class _Reader:
    """Applies what a reader received, by the contract's rules, and reports what breaks them."""

    def __init__(self, log: ReaderLog, verdict: Verdict) -> None:
        self.log, self.verdict = log, verdict
        self.items: dict[int, bool] = {}
        self.revision = self.unread_count = 0
        self.first_seen: dict[int, float] = {}
        # From when to when it was live.
        self.live: list[tuple[float, float]] = []
        self._live_since: float | None = None
        self._attempt: float | None = None
        # Nothing is pushed before synced or reset.
        self._caught_up = False
        # After a reset the list is newer than its revision: until the next synced the count is not compared.
        self._exact = True

    def add_fault(self, kind: str, what: str) -> None:
        self.verdict.add_fault(kind, f"{self.log.name}: {what}")

    def apply_event(self, event: Event) -> None:
        match event.kind:
            case "attempt":
                if self._attempt is None:
                    self._attempt = event.at
            case "restarted":
                self.items, self.revision = {}, 0
            case "hello":
                self._caught_up = False
            case "closed":
                self.verdict.closes[event.number] += 1
                self._mark_not_live(event.at)
            case "inbox":
                (self._replayed if event.replayed else self._pushed)(event)
            case "synced":
                self._synced(event)
            case "reset":
                self._exact, self._caught_up = False, True
                self.revision, self.unread_count = event.revision, event.unread_count
            case "list":
                self.items = dict(event.added)
                self._note_first_seen(event)
                self._mark_live(event.at)

    def _mark_not_live(self, at: float) -> None:
        if self._live_since is not None:
            self.live.append((self._live_since, at))
        self._live_since = None

    def _mark_live(self, at: float) -> None:
        if self._attempt is not None:
            self.verdict.recoveries.append((self._attempt, at - self._attempt))
            self._attempt = None
        if self._live_since is None:
            self._live_since = at

    def end(self) -> None:
        self._mark_not_live(float("inf"))

    def _replayed(self, event: Event) -> None:
        self._caught_up = False
        if event.revision <= self.revision:
            self.add_fault("out of order", f"replay of {event.revision} after {self.revision}")
        self._apply(event)

    def _pushed(self, event: Event) -> None:
        if not self._caught_up:
            self.add_fault("out of order", f"a live frame before synced: {event}")
        if event.revision != self.revision + 1:
            self.add_fault("out of order", f"live {event.revision} after {self.revision}")
        if self._exact:
            for pk in event.added.keys() & self.items.keys():
                self.add_fault("doubled", f"row {pk} was sent as new twice")
        self._apply(event)
        self._check_badge(event)

    def _synced(self, event: Event) -> None:
        if event.revision < self.revision:
            self.add_fault("out of order", f"synced {event.revision} after {self.revision}")
        self._exact = self._caught_up = True
        self.revision, self.unread_count = event.revision, event.unread_count
        self._check_badge(event)
        self._mark_live(event.at)

    def _apply(self, event: Event) -> None:
        self._note_first_seen(event)
        self.items.update(event.added)
        self.items.update({pk: True for pk in event.read if pk in self.items})
        self.items.update({pk: False for pk in event.unread if pk in self.items})
        for pk in event.removed:
            self.items.pop(pk, None)
        self.revision, self.unread_count = event.revision, event.unread_count

    def _note_first_seen(self, event: Event) -> None:
        for pk in (*event.added, *event.removed):
            self.first_seen.setdefault(pk, event.at)

    def _check_badge(self, event: Event) -> None:
        unread = sum(not is_read for is_read in self.items.values())
        wrong = self._exact and event.unread_count != unread
        if wrong:
            self.add_fault(
                "wrong badge", f"{event.unread_count} at revision {event.revision}, {unread} are unread"
            )


def _check_end(
    reader: _Reader, living: Mapping[int, bool], final_state: FinalState, verdict: Verdict
) -> None:
    """The copy that a reader ended with is what a fresh read would give."""
    missing = living.keys() - reader.items.keys()
    for pk in missing:
        reader.add_fault("missing", f"row {pk}")
    for pk in reader.items.keys() - living.keys():
        reader.add_fault(
            "phantom" if pk not in final_state.rows else "missing", f"row {pk} is shown, and is no more"
        )
    for pk in living.keys() & reader.items.keys():
        if reader.items[pk] != living[pk]:
            reader.add_fault("missing", f"row {pk} is shown as {'read' if reader.items[pk] else 'unread'}")
    revision, unread_count = final_state.inboxes.get(reader.log.user, (0, 0))
    if not missing and (reader.revision, reader.unread_count) != (revision, unread_count):
        reader.add_fault(
            "wrong badge",
            f"{reader.unread_count} at revision {reader.revision}, true is {unread_count} at {revision}",
        )
    for pk in reader.first_seen.keys() - final_state.rows.keys():
        reader.add_fault("phantom", f"row {pk} was sent, and never committed")


def _check_arrival(
    reader: _Reader, added: Mapping[int, float], final_state: FinalState, verdict: Verdict
) -> None:
    """Every acknowledged row arrived; records how long that took for readers that were live."""
    for pk, at in added.items():
        verdict.expected += 1
        first = reader.first_seen.get(pk)
        if first is None:
            if not final_state.rows[pk].removed:
                continue  # counted already: it is missing in the end
            if reader.live and reader.live[0][0] <= at:
                reader.add_fault("missing", f"row {pk} was made and removed, and never sent")
        elif any(since <= at and first <= until for since, until in reader.live):
            verdict.staleness.append((at, max(0.0, first - at), reader.log.user))
