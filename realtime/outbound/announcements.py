"""Puts revisions of many users that bring them the same new notification together: one envelope, encoded once."""

from collections.abc import Iterator

from messaging import schemas
from messaging.notifications import Revision
from realtime import protocol

from .envelopes import AnnouncementEnvelope

# Fewer users get an envelope each, which only the hubs with a socket of theirs receive. A full one takes a hub that has
# sockets of all its users 2 ms.
MIN_USERS, USERS_PER_ENVELOPE = 10, 100


def announcements(revisions: list[Revision]) -> tuple[list[Revision], list[AnnouncementEnvelope]]:
    """Return the revisions that need an envelope of their own, and the envelopes of the others."""
    # Several revisions of one user leave in order.
    if len({assigned.user_id for assigned in revisions}) < max(len(revisions), MIN_USERS):
        return revisions, []
    alone, announced = list[Revision](), list[AnnouncementEnvelope]()
    # By texts: several languages may come by turns.
    together: dict[tuple[str, ...], list[Revision]] = {}
    for assigned in revisions:
        if _is_one_new(assigned):
            (new,) = assigned.added
            texts = new.title, new.description, *(action.label for action in new.actions)
            alike = together.setdefault(texts, [])
            if not alike or _is_same(alike[0].added[0], new):
                alike.append(assigned)
                continue
        alone.append(assigned)
    for alike in together.values():
        if len(alike) < MIN_USERS:
            alone += alike
        else:
            announced += _envelopes(alike)
    return alone, announced


def _is_one_new(assigned: Revision) -> bool:
    return len(assigned.added) == 1 and not (assigned.read or assigned.unread or assigned.removed)


def _is_same(one: schemas.Notification, other: schemas.Notification) -> bool:
    """Whether they differ in their ids alone."""
    if {**vars(one), "id": None} != {**vars(other), "id": None}:
        return False
    # Equal data may be other texts: true is equal to 1, and the order of keys doesn't count.
    return one.data is other.data or repr(one.data) == repr(other.data)


def _envelopes(alike: list[Revision]) -> Iterator[AnnouncementEnvelope]:
    parts = list(protocol.FrameTemplate.of(alike[0].added[0]))
    for start in range(0, len(alike), USERS_PER_ENVELOPE):
        some = alike[start : start + USERS_PER_ENVELOPE]
        numbers = [[assigned.revision, assigned.unread_count, assigned.added[0].id] for assigned in some]
        yield AnnouncementEnvelope([assigned.user_id for assigned in some], numbers, parts)
