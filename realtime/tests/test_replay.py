from datetime import UTC, datetime

import pytest

from messaging import schemas
from messaging.inboxes import Missed, MissedRow
from realtime import protocol
from realtime.delivery.position import ResumeRequest
from realtime.delivery.replay import plan


def shape(pk):
    return schemas.Notification(
        id=pk,
        notification_type="announcement",
        title=f"Number {pk}",
        description="",
        level="info",
        is_read=False,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        actor=None,
        message_id=None,
        data=None,
        group=None,
        count=1,
        url=None,
    )


def inbox(rows=(), *, revision=None, floor=0, unread_count=7):
    """An inbox with rows given as (id, revision) or (id, revision, removed)."""
    rows = [MissedRow(pk, at, None if any(gone) else shape(pk)) for pk, at, *gone in rows]
    return Missed(
        "now", revision or max((row.revision for row in rows), default=0), unread_count, floor, rows
    )


def numbered(count, *, from_revision=1):
    return [(number, from_revision + number - 1) for number in range(1, count + 1)]


def summary(planned):
    return [
        (frame.revision, [row.id for row in frame.added], list(frame.removed)) for frame in planned.replay
    ]


def test_without_since_nothing_is_replayed_and_nothing_resumed():
    planned = plan(inbox(revision=5), ResumeRequest(5, None))
    assert planned.replay == []
    assert planned.end == protocol.SyncedFrame(revision=5, unread_count=7)


def test_what_changed_after_since_is_replayed_in_rising_revision():
    planned = plan(inbox([(4, 2), (9, 3), (5, 7)]), ResumeRequest(1, "now"))
    assert summary(planned) == [(7, [4, 9, 5], [])]
    assert planned.end == protocol.SyncedFrame(revision=7, unread_count=7)
    assert isinstance(planned.end, protocol.SyncedFrame)


def test_a_replayed_frame_says_that_it_is_one():
    [frame] = plan(inbox([(4, 2)]), ResumeRequest(1, None)).replay
    assert (frame.replayed, frame.read, frame.unread) == (True, [], [])


def test_a_removed_row_is_replayed_as_removed():
    assert summary(plan(inbox([(4, 2), (9, 3, True)]), ResumeRequest(1, "now"))) == [(3, [4], [9])]


def test_rows_another_tab_asked_for_are_left_out():
    assert summary(plan(inbox([(1, 1), (2, 2), (3, 3)]), ResumeRequest(2, "now"))) == [(3, [3], [])]


def test_a_client_that_has_everything_gets_synced_alone():
    planned = plan(inbox(revision=5), ResumeRequest(5, "now"))
    assert planned.replay == []
    assert planned.end == protocol.SyncedFrame(revision=5, unread_count=7)


def test_the_count_of_a_replay_is_the_present_one():
    planned = plan(inbox(numbered(250), unread_count=3), ResumeRequest(0, "now"))
    assert {frame.unread_count for frame in planned.replay} == {3}


def test_a_replay_goes_in_pages_of_a_hundred():
    planned = plan(inbox(numbered(250)), ResumeRequest(0, "now"))
    assert [frame.revision for frame in planned.replay] == [100, 200, 250]
    assert [len(frame.added) for frame in planned.replay] == [100, 100, 50]


@pytest.mark.parametrize("sizes", [[60, 60, 60], [100, 1, 100], [1, 100, 100, 1], [99, 2, 99], [40] * 25])
def test_no_revision_is_spread_over_two_frames(sizes):
    rows, pk = [], 0
    for revision, size in enumerate(sizes, 1):
        for _ in range(size):
            pk += 1
            rows.append((pk, revision, pk % 7 == 0))
    planned = plan(inbox(rows), ResumeRequest(0, "now"))
    of_row = {pk: revision for pk, revision, _ in rows}
    frames = [
        ({of_row[pk] for pk in added + removed}, revision) for revision, added, removed in summary(planned)
    ]
    assert sorted(pk for _, added, removed in summary(planned) for pk in added + removed) == sorted(of_row)
    assert all(len(added) + len(removed) <= 100 for _, added, removed in summary(planned))
    lowest = 0
    for revisions, complete in frames:
        assert max(revisions) == complete
        assert min(revisions) > lowest
        lowest = complete


def test_a_revision_of_more_than_a_page_is_one_frame():
    planned = plan(inbox([(pk, 1) for pk in range(1, 151)] + [(200, 2)]), ResumeRequest(0, "now"))
    assert [(frame.revision, len(frame.added)) for frame in planned.replay] == [(1, 150), (2, 1)]


def test_a_thousand_rows_are_replayed():
    planned = plan(inbox(numbered(1000)), ResumeRequest(0, "now"))
    assert sum(len(frame.added) for frame in planned.replay) == 1000
    assert planned.end == protocol.SyncedFrame(revision=1000, unread_count=7)


def test_a_thousand_and_one_rows_are_too_many():
    planned = plan(inbox(numbered(1001)), ResumeRequest(0, "now"))
    assert planned.replay == []
    assert planned.end == protocol.ResetFrame(revision=1001, unread_count=7, reason="too_far_behind")


def test_a_tab_that_needs_fewer_of_many_rows_is_served():
    assert isinstance(plan(inbox(numbered(1001)), ResumeRequest(1, "now")).end, protocol.SyncedFrame)


@pytest.mark.parametrize(
    ("since", "epoch", "floor", "rows", "reason"),
    [
        # Everything is wrong at once: the first in the contract's order is the reason.
        (None, "old", 50, 1001, "new_epoch"),
        (3, "", 0, 0, "new_epoch"),
        (None, "now", 50, 1001, "unknown_revision"),
        ("x", None, 0, 0, "unknown_revision"),
        (-1, "now", 0, 0, "unknown_revision"),
        (2001, "now", 50, 1001, "unknown_revision"),
        (49, "now", 50, 1001, "history_removed"),
        (50, "now", 50, 1001, "too_far_behind"),
    ],
)
def test_the_reasons_for_a_reset_are_tested_in_the_contracts_order(since, epoch, floor, rows, reason):
    state = inbox(numbered(rows, from_revision=1000), revision=2000, floor=floor)
    planned = plan(state, ResumeRequest(since, epoch))
    assert planned.replay == []
    assert planned.end == protocol.ResetFrame(revision=2000, unread_count=7, reason=reason)


def test_since_may_be_the_floor_and_the_present_revision():
    assert isinstance(plan(inbox(revision=9, floor=9), ResumeRequest(9, "now")).end, protocol.SyncedFrame)
    assert isinstance(plan(inbox(revision=9, floor=8), ResumeRequest(8, "now")).end, protocol.SyncedFrame)


def test_since_without_an_epoch_means_the_present_one():
    assert isinstance(plan(inbox(revision=9), ResumeRequest(4, None)).end, protocol.SyncedFrame)


def test_a_socket_that_fell_behind_gets_what_follows_its_cursor():
    planned = plan(inbox([(4, 6)]), ResumeRequest(5, "now"))
    assert summary(planned) == [(6, [4], [])]


def test_a_socket_that_fell_behind_in_an_older_epoch_is_reset():
    assert plan(inbox(revision=9), ResumeRequest(5, "older")).end.reason == "new_epoch"


def test_a_socket_whose_cursor_is_ahead_of_a_restored_inbox_is_reset():
    assert plan(inbox(revision=4), ResumeRequest(5, "now")).end.reason == "unknown_revision"
