"""The checker finds each kind of fault: a history without one passes, and each of these has one."""

from collections.abc import Callable

import pytest

from .checker import check
from .history import Heard, History, Log, Row, Truth, Write

ADA = 1


def sound() -> tuple[History, Truth]:
    """Ada's page connects, hears of two rows, is cut off, misses one and a mark, and catches up."""
    events = [
        Heard(0.0, "attempt"),
        Heard(0.1, "open", number=8000),
        Heard(0.1, "hello"),
        Heard(0.1, "synced"),
        Heard(1.1, "inbox", 1, 1, added={10: False}),
        Heard(2.1, "inbox", 2, 2, added={11: False}),
        Heard(3.0, "closed", number=1006),
        Heard(5.0, "attempt"),
        Heard(5.1, "open", number=8001),
        Heard(5.1, "hello", 4, 2),
        Heard(5.2, "inbox", 4, 2, replayed=True, added={12: False, 10: True}),
        Heard(5.2, "synced", 4, 2),
        Heard(6.1, "inbox", 5, 1, removed=[11]),
    ]
    writes = [
        Write(ADA, "added", [10], "ok", 0.9, 1.0),
        Write(ADA, "added", [11], "ok", 1.9, 2.0),
        Write(ADA, "added", [12], "ok", 3.9, 4.0),
        Write(ADA, "read", [10], "ok", 4.4, 4.5),
        Write(ADA, "added", [13], "undone", 4.6, 4.7),
        Write(ADA, "removed", [11], "ok", 5.9, 6.0),
    ]
    rows = {
        10: Row(ADA, True, False, None),
        11: Row(ADA, False, True, None),
        12: Row(ADA, False, False, None),
    }
    return History(writes, [Log("ada", ADA, events)]), Truth(rows, {ADA: (5, 1)})


def test_a_sound_history_passes():
    verdict = check(*sound())
    assert verdict.ok, verdict.examples
    assert verdict.expected == 3
    assert [round(seconds, 3) for _, seconds, _ in verdict.staleness] == [0.1, 0.1]
    assert [round(seconds, 3) for _, seconds in verdict.recoveries] == [0.1, 0.2]


Spoil = Callable[[list[Heard], History, Truth], object]
FAULTS: list[tuple[str, str, Spoil]] = [
    ("missing", "a row that was never told", lambda heard, history, truth: heard[10].added.pop(12)),
    ("missing", "a mark that was never told", lambda heard, history, truth: heard[10].added.pop(10)),
    ("missing", "a removal that was never told", lambda heard, history, truth: heard.pop(12)),
    ("out of order", "a frame that was skipped", lambda heard, history, truth: heard.pop(4)),
    ("out of order", "frames that overtook", lambda heard, history, truth: heard.insert(4, heard.pop(5))),
    ("out of order", "a frame before synced", lambda heard, history, truth: heard.insert(3, heard.pop(4))),
    ("out of order", "a replay that goes back", lambda heard, history, truth: set_revision(heard[10], 2)),
    ("out of order", "a synced that goes back", lambda heard, history, truth: set_revision(heard[11], 3)),
    ("doubled", "a row told as new twice", lambda heard, history, truth: heard[5].added.update({10: False})),
    ("wrong badge", "a count that isn't the page's", lambda heard, history, truth: set_count(heard[5], 3)),
    (
        "wrong badge",
        "a last count that isn't true",
        lambda heard, history, truth: truth.inboxes.update({ADA: (5, 2)}),
    ),
    ("phantom", "a row nobody committed", lambda heard, history, truth: heard[5].added.update({99: False})),
    (
        "phantom",
        "a row that was rolled back and stayed",
        lambda heard, history, truth: truth.rows.update({13: Row(ADA, False, False, None)}),
    ),
    ("lost by the database", "an acknowledged row", lambda heard, history, truth: truth.rows.pop(12)),
    (
        "lost by the database",
        "an acknowledged mark",
        lambda heard, history, truth: truth.rows.update({10: Row(ADA, False, False, None)}),
    ),
]


def set_revision(event: Heard, revision: int) -> None:
    event.revision = revision


def set_count(event: Heard, unread_count: int) -> None:
    event.unread_count = unread_count


@pytest.mark.parametrize(("kind", "what", "spoil"), FAULTS, ids=[what for _, what, _ in FAULTS])
def test_a_fault_is_found(kind, what, spoil):
    history, truth = sound()
    spoil(history.logs[0].heard, history, truth)
    verdict = check(history, truth)
    assert kind in verdict.faults, f"{what} wasn't found, but {verdict}"


def test_a_row_that_was_made_and_removed_and_never_told_is_missing():
    history, truth = sound()
    history.writes += [
        Write(ADA, "added", [20], "ok", 2.1, 2.2),
        Write(ADA, "removed", [20], "ok", 2.3, 2.4),
    ]
    truth.rows[20] = Row(ADA, False, True, None)
    assert check(history, truth).faults == {"missing": 1}


def test_a_write_of_unknown_outcome_may_be_there_or_not():
    history, truth = sound()
    history.writes.append(Write(ADA, "added", [30], "unknown", 2.0, 2.1))
    assert check(history, truth).ok


def test_a_message_is_known_by_its_notification():
    history, truth = sound()
    truth.rows[12].message = 500
    history.writes[2] = Write(ADA, "added", [500], "ok", 3.9, 4.0, by_message=True)
    assert check(history, truth).ok
    truth.rows[12].message = 501
    assert "lost by the database" in check(history, truth).faults


def test_after_a_reset_the_list_counts():
    history, truth = sound()
    heard = history.logs[0].heard
    heard[10:12] = [Heard(5.2, "reset", 4, 2), Heard(5.3, "list", added={10: True, 11: False, 12: False})]
    assert check(history, truth).ok
    heard[11].added.pop(12)
    assert check(history, truth).faults["missing"] == 1


def test_whoever_left_needn_t_know_everything_but_what_they_heard_must_be_right():
    history, truth = sound()
    log = history.logs[0]
    log.left = True
    del log.heard[8:]
    assert check(history, truth).ok
    log.heard[5].revision = 3
    assert check(history, truth).faults == {"out of order": 1}
