"""What happened in a run: each write with its outcome, and what each reader received. Times are of the monotonic clock.

That clock is the same in all processes of a machine, so a writer's times can be compared with a reader's.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

# ok: COMMIT returned. rolled_back: rolled back on purpose. unknown: an error or a dead process came in between.
Outcome = Literal["ok", "rolled_back", "unknown"]
Change = Literal["added", "read", "unread", "removed"]


@dataclass(slots=True)
class Write:
    """One transaction: what it did to which notifications of a user, and when it was known to have committed."""

    user: int
    change: Change
    # Ids of notifications; or, of a message sent over HTTP, the id of that.
    ids: list[int]
    outcome: Outcome
    began: float
    ended: float
    by_message: bool = False


@dataclass(slots=True)
class Event:
    """One event of a reader's; they are kept in order."""

    at: float
    # attempt, open, closed: of a connection; list: what it read over HTTP after a reset; restarted: it begins
    # with an empty copy, since it couldn't read the list; the others are frames.
    kind: str
    revision: int = 0
    unread_count: int = 0
    replayed: bool = False
    # The notification's id: is it read?
    added: dict[int, bool] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    # The close code of `closed`; the port that `open` led to.
    number: int = 0


@dataclass(slots=True)
class ReaderLog:
    """What one reader received, from an empty copy of the inbox on."""

    name: str
    user: int
    events: list[Event] = field(default_factory=list)
    # Closed for good before the end: what it received must be right, but need not be complete.
    left: bool = False


@dataclass(slots=True)
class Row:
    """A notification as the database has it at the end."""

    user: int
    is_read: bool
    removed: bool
    message: int | None


@dataclass(slots=True)
class FinalState:
    """The database at the end."""

    rows: dict[int, Row]
    # user: (revision, unread_count)
    inboxes: dict[int, tuple[int, int]]

    def living(self, user: int) -> dict[int, bool]:
        return {pk: row.is_read for pk, row in self.rows.items() if row.user == user and not row.removed}


@dataclass(slots=True)
class History:
    writes: list[Write] = field(default_factory=list)
    logs: list[ReaderLog] = field(default_factory=list)
    # Seconds that each acknowledged save took.
    saves: list[tuple[float, float]] = field(default_factory=list)

    def acknowledged(self) -> int:
        return sum(len(write.ids) for write in self.writes if write.outcome == "ok")


def frame_event(frame: dict[str, Any], at: float) -> Event:
    """A frame of the socket as it is kept."""
    return Event(
        at,
        frame["type"],
        frame.get("revision", 0),
        frame.get("unread_count", 0),
        frame.get("replayed", False),
        {item["id"]: item["is_read"] for item in frame.get("added", ())},
        list(frame.get("read", ())),
        list(frame.get("unread", ())),
        list(frame.get("removed", ())),
    )
