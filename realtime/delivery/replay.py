"""What a socket that is behind gets: a pure function from the inbox's state to frames."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from messaging.dialects.base import REVISION_BYTES, weight_of
from messaging.inboxes import MAX_REPLAYED_ROWS, Missed, MissedRow
from realtime import protocol

from .position import ResumeRequest

ROWS_PER_FRAME = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """Frames to replay, each with the revision that is complete with it, and the frame that closes the run."""

    replay: Sequence[protocol.InboxFrame]
    end: protocol.SyncedFrame | protocol.ResetFrame


def plan(missed: Missed, position: ResumeRequest) -> Plan:
    """Decide what brings a client up to date that holds this position: a replay, or a reset with its reason.

    The reasons for a reset are tested in the contract's order.
    """
    since = position.revision
    reason: protocol.ResetReason | None = None
    if position.epoch is not None and position.epoch != missed.epoch:
        reason = "new_epoch"
    elif since is None or since > missed.revision:
        reason = "unknown_revision"
    elif since < missed.floor:
        reason = "history_removed"
    rows = [] if reason or since is None else [row for row in missed.rows if row.revision > since]
    if len(rows) > MAX_REPLAYED_ROWS:
        reason = "too_far_behind"
    if reason:
        end = protocol.ResetFrame(revision=missed.revision, unread_count=missed.unread_count, reason=reason)
        return Plan([], end)
    frames = [_frame(page, missed) for page in _pages(rows)]
    return Plan(frames, protocol.SyncedFrame(revision=missed.revision, unread_count=missed.unread_count))


def _pages(rows: Iterable[MissedRow]) -> Iterable[list[MissedRow]]:
    """Cut rows into pages of about 100, of less if they are large, never within a revision."""
    page: list[MissedRow] = []
    weight = 0
    for _, group in groupby(rows, key=lambda row: row.revision):
        revision = list(group)
        added = sum(_weight(row) for row in revision)
        if page and (len(page) + len(revision) > ROWS_PER_FRAME or weight + added > REVISION_BYTES):
            yield page
            page, weight = [], 0
        page += revision
        weight += added
    if page:
        yield page


def _weight(row: MissedRow) -> int:
    if row.notification is None:
        return 0
    shown = row.notification
    return weight_of({**vars(shown), "group_key": shown.group}, ROWS_PER_FRAME)


def _frame(rows: list[MissedRow], missed: Missed) -> protocol.InboxFrame:
    return protocol.InboxFrame.model_construct(
        revision=rows[-1].revision,
        # The present count: rows don't show what it was at an earlier revision.
        unread_count=missed.unread_count,
        replayed=True,
        added=[row.notification for row in rows if row.notification is not None],
        removed=[row.id for row in rows if row.notification is None],
    )
