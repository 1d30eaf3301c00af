"""The checker finds each kind of fault: a valid history passes, and each corrupted one fails."""

from collections.abc import Callable

import pytest

from .checker import check
from .history import Event, FinalState, History, ReaderLog, Row, Write

ADA = 1


def valid() -> tuple[History, FinalState]:
    """Ada's page connects, receives two rows, is cut off, misses one and a mark, and catches up."""
    events = [
        Event(0.0, "attempt"),
        Event(0.1, "open", number=8000),
        Event(0.1, "hello"),
        Event(0.1, "synced"),
        Event(1.1, "inbox", 1, 1, added={10: False}),
        Event(2.1, "inbox", 2, 2, added={11: False}),
        Event(3.0, "closed", number=1006),
        Event(5.0, "attempt"),
        Event(5.1, "open", number=8001),
        Event(5.1, "hello", 4, 2),
        Event(5.2, "inbox", 4, 2, replayed=True, added={12: False, 10: True}),
        Event(5.2, "synced", 4, 2),
        Event(6.1, "inbox", 5, 1, removed=[11]),
    ]
    writes = [
        Write(ADA, "added", [10], "ok", 0.9, 1.0),
        Write(ADA, "added", [11], "ok", 1.9, 2.0),
        Write(ADA, "added", [12], "ok", 3.9, 4.0),
        Write(ADA, "read", [10], "ok", 4.4, 4.5),
        Write(ADA, "added", [13], "rolled_back", 4.6, 4.7),
        Write(ADA, "removed", [11], "ok", 5.9, 6.0),
    ]
    rows = {
        10: Row(ADA, True, False, None),
        11: Row(ADA, False, True, None),
        12: Row(ADA, False, False, None),
    }
    return History(writes, [ReaderLog("ada", ADA, events)]), FinalState(rows, {ADA: (5, 1)})


def test_a_valid_history_passes():
    verdict = check(*valid())
    assert verdict.ok, verdict.examples
    assert verdict.expected == 3
    assert [round(seconds, 3) for _, seconds, _ in verdict.staleness] == [0.1, 0.1]
    assert [round(seconds, 3) for _, seconds in verdict.recoveries] == [0.1, 0.2]


Corrupt = Callable[[list[Event], History, FinalState], object]
FAULTS: list[tuple[str, str, Corrupt]] = [
    ("missing", "a row that was never sent", lambda events, history, state: events[10].added.pop(12)),
    ("missing", "a mark that was never sent", lambda events, history, state: events[10].added.pop(10)),
    ("missing", "a removal that was never sent", lambda events, history, state: events.pop(12)),
    ("out of order", "a frame that was skipped", lambda events, history, state: events.pop(4)),
    ("out of order", "frames that overtook", lambda events, history, state: events.insert(4, events.pop(5))),
    ("out of order", "a frame before synced", lambda events, history, state: events.insert(3, events.pop(4))),
    ("out of order", "a replay that goes back", lambda events, history, state: set_revision(events[10], 2)),
    ("out of order", "a synced that goes back", lambda events, history, state: set_revision(events[11], 3)),
    (
        "doubled",
        "a row sent as new twice",
        lambda events, history, state: events[5].added.update({10: False}),
    ),
    ("wrong badge", "a count that isn't the page's", lambda events, history, state: set_count(events[5], 3)),
    (
        "wrong badge",
        "a last count that isn't true",
        lambda events, history, state: state.inboxes.update({ADA: (5, 2)}),
    ),
    (
        "phantom",
        "a row that was never committed",
        lambda events, history, state: events[5].added.update({99: False}),
    ),
    (
        "phantom",
        "a row that was rolled back and stayed",
        lambda events, history, state: state.rows.update({13: Row(ADA, False, False, None)}),
    ),
    ("lost by the database", "an acknowledged row", lambda events, history, state: state.rows.pop(12)),
    (
        "lost by the database",
        "an acknowledged mark",
        lambda events, history, state: state.rows.update({10: Row(ADA, False, False, None)}),
    ),
]


def set_revision(event: Event, revision: int) -> None:
    event.revision = revision


def set_count(event: Event, unread_count: int) -> None:
    event.unread_count = unread_count


@pytest.mark.parametrize(("kind", "what", "corrupt"), FAULTS, ids=[what for _, what, _ in FAULTS])
def test_a_fault_is_found(kind, what, corrupt):
    history, state = valid()
    corrupt(history.logs[0].events, history, state)
    verdict = check(history, state)
    assert kind in verdict.faults, f"{what} wasn't found, but {verdict}"


def test_a_row_that_was_made_and_removed_and_never_sent_is_missing():
    history, state = valid()
    history.writes += [
        Write(ADA, "added", [20], "ok", 2.1, 2.2),
        Write(ADA, "removed", [20], "ok", 2.3, 2.4),
    ]
    state.rows[20] = Row(ADA, False, True, None)
    assert check(history, state).faults == {"missing": 1}


def test_a_write_of_unknown_outcome_may_be_there_or_not():
    history, state = valid()
    history.writes.append(Write(ADA, "added", [30], "unknown", 2.0, 2.1))
    assert check(history, state).ok


def test_a_message_is_known_by_its_notification():
    history, state = valid()
    state.rows[12].message = 500
    history.writes[2] = Write(ADA, "added", [500], "ok", 3.9, 4.0, by_message=True)
    assert check(history, state).ok
    state.rows[12].message = 501
    assert "lost by the database" in check(history, state).faults


def test_after_a_reset_the_list_counts():
    history, state = valid()
    events = history.logs[0].events
    events[10:12] = [Event(5.2, "reset", 4, 2), Event(5.3, "list", added={10: True, 11: False, 12: False})]
    assert check(history, state).ok
    events[11].added.pop(12)
    assert check(history, state).faults["missing"] == 1


def test_a_reader_that_left_may_miss_rows_but_what_it_received_must_be_right():
    history, state = valid()
    log = history.logs[0]
    log.left = True
    del log.events[8:]
    assert check(history, state).ok
    log.events[5].revision = 3
    assert check(history, state).faults == {"out of order": 1}
