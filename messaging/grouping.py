"""Collapses groups where revisions are assigned: one row stands for the unread rows of a group, and the others leave.

That is under the lock of the inbox, so no two writers race for a group, and none of them waits. It waits for no row
either: one that an open transaction holds stays beside its group. What a client may have seen never changes, so the
row that stands for the others is the newest of those that have no revision yet.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from . import data, notification_types, schemas
from .dialects import InboxState, NumberedRow, dialect
from .dialects.base import REVISION_BYTES, min_weight, weight_of
from .exceptions import UnknownNotificationType
from .models import Notification

logger = logging.getLogger(__name__)

# How many older rows one transaction collapses. Of more, which were marked unread, say, the oldest stay until the next.
OLDER_PER_TRANSACTION = 1_000
OLDER_COLUMNS = (
    *("id", "user_id", "notification_type", "group_key", "group_count"),
    *("created_at", "revision", "counted"),
)
# Of a row that left before it was announced: below what any client holds, so that no replay carries it.
UNANNOUNCED = 0

# Types whose group_title failed: each is logged once.
_failed: set[str] = set()


class _Group(NamedTuple):
    user_id: Any
    notification_type: str
    key: str


def collapse(
    rows: list[NumberedRow], inboxes: Mapping[Any, InboxState], rows_per_revision: int
) -> list[NumberedRow]:
    """Collapse the groups of those of these rows that are new, and store them. This transaction has numbered them.

    Returns the rows to announce: without those that left before they had been, with older ones that left, and numbered
    anew where any did. They are in the order of inboxes and ids, as `rows` are.
    """
    groups = _groups_of_new(rows)
    older = [row for row in _older(groups, rows) if _group_of(row) in groups] if groups else []
    for row in older:
        groups[_group_of(row)].append(row)
    standing = [row for group, members in groups.items() for row in _collapse_group(group, members)]
    _set_titles(standing)
    left = list(filter(_has_left, older))
    announced = _renumbered(rows, left, inboxes, rows_per_revision) if standing else rows
    dialect().store_collapsed([*rows, *left])
    return announced


def _renumbered(
    rows: list[NumberedRow],
    left: list[NumberedRow],
    inboxes: Mapping[Any, InboxState],
    rows_per_revision: int,
) -> list[NumberedRow]:
    """Number the rows that are to be announced. `left`: older ones, which are announced as well."""
    older_that_left: dict[Any, list[NumberedRow]] = {}
    for row in left:
        older_that_left.setdefault(row["user_id"], []).append(row)
    announced = []
    for user_id, of_user in groupby(rows, key=itemgetter("user_id")):
        remaining = [row for row in of_user if row["revision"] != UNANNOUNCED]
        remaining += older_that_left.get(user_id, [])
        weight = 0
        for row in sorted(remaining, key=itemgetter("id")):
            # (Of one that has left, the id alone is in a frame.)
            weight += min_weight(rows_per_revision) if _has_left(row) else weight_of(row, rows_per_revision)
            row["revision"] = inboxes[user_id].revision + 1 + (weight - 1) // REVISION_BYTES
            announced.append(row)
    return announced


def _groups_of_new(rows: Iterable[NumberedRow]) -> dict[_Group, list[NumberedRow]]:
    """Return the groups of these rows that are unread, where at least one of them is new."""
    groups: dict[_Group, list[NumberedRow]] = {}
    for row in rows:
        if row["group_key"] is not None and row["counted"]:
            groups.setdefault(_group_of(row), []).append(row)
    return {
        group: members
        for group, members in groups.items()
        if any(row["was_revision"] is None for row in members) and _has_groups(group.notification_type)
    }


def _group_of(row: NumberedRow) -> _Group:
    return _Group(row["user_id"], row["notification_type"], row["group_key"])


def _has_groups(name: str) -> bool:
    """Return whether the type is still declared, and has groups."""
    try:
        return notification_types.get(name).group_by is not None
    except UnknownNotificationType:
        return False


def _older(groups: Collection[_Group], rows: Collection[NumberedRow]) -> list[NumberedRow]:
    """Lock and return what these inboxes have of such groups beside these rows: announced, living and unread."""
    found = (
        Notification.objects.filter(
            user_id__in={group.user_id for group in groups},
            group_key__in={group.key for group in groups},
            is_read=False,
            pending_since=None,
        )
        .exclude(id__in=[row["id"] for row in rows])
        .order_by("-id")
        .select_for_update(skip_locked=True)
    )
    states = {"was_counted": F("counted"), "was_revision": F("revision")}
    return [
        {**row, "removed_at": None} for row in found.values(*OLDER_COLUMNS, **states)[:OLDER_PER_TRANSACTION]
    ]


def _collapse_group(group: _Group, members: list[NumberedRow]) -> Iterator[NumberedRow]:
    """Have rows leave, and yield those that stand for them."""
    for cluster in _clusters(members, notification_types.get(group.notification_type).group_within):
        new = [row for row in cluster if row["was_revision"] is None]
        if new and len(cluster) > 1:
            standing = new[-1]
            standing["group_count"] = sum(row["group_count"] for row in cluster)
            for row in cluster:
                if row is not standing:
                    _leave(row, standing)
            yield standing


def _clusters(members: list[NumberedRow], within: timedelta | None) -> Iterator[list[NumberedRow]]:
    """Cut where more than `within` lies between a row and the next: as if each had been collapsed when it came."""
    cluster: list[NumberedRow] = []
    for row in sorted(members, key=lambda row: (schemas.as_utc(row["created_at"]), row["id"])):
        if cluster and within is not None and row["created_at"] - cluster[-1]["created_at"] > within:
            yield cluster
            cluster = []
        cluster.append(row)
    yield cluster


def _leave(row: NumberedRow, standing: NumberedRow) -> None:
    row["collapsed_into_id"], row["counted"], row["removed_at"] = standing["id"], False, timezone.now()
    if row["was_revision"] is None:
        row["revision"] = UNANNOUNCED


def _has_left(row: NumberedRow) -> bool:
    return "collapsed_into_id" in row


def _set_titles(standing: list[NumberedRow]) -> None:
    """Give rows their group's title. One keeps its own where that can't be made: nothing may hold up the inbox."""
    types = {row["id"]: notification_types.get(row["notification_type"]) for row in standing}
    titled = [row for row in standing if types[row["id"]].group_title is not None]
    languages = dict(
        Notification.objects.filter(id__in=[row["id"] for row in titled]).values_list("id", "language")
    )
    for row in titled:
        declared = types[row["id"]]
        try:
            row["group_title"] = declared.title_of_group(
                data.decoded(row["data"]),
                actor=row["actor_username"],
                count=row["group_count"],
                language=languages[row["id"]] or settings.LANGUAGE_CODE,
            )
            row["title"] = row["group_title"] or row["title"]
        except Exception:
            if declared.name not in _failed:
                _failed.add(declared.name)
                logger.exception(
                    "the group_title of the notification type %s failed; its groups keep the title of their newest row",
                    declared.name,
                )
