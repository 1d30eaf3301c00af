"""The replica accepts what docs/protocol.md allows, and fails at each kind of frame that it doesn't."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.inbox_replica import InboxReplica, PresenceReplica

Frames = list[dict[str, Any]]


def item(pk: int, *, is_read: bool = False) -> dict[str, Any]:
    return {"id": pk, "is_read": is_read}


def inbox(revision: int, unread_count: int, *, replayed: bool = False, **lists: Any) -> dict[str, Any]:
    frame = {"type": "inbox", "revision": revision, "unread_count": unread_count, "replayed": replayed}
    return frame | lists


def valid() -> Frames:
    """A connection from `since=0`: a replay of two rows, then a new one, a mark and a removal."""
    return [
        {"type": "hello", "epoch": "e", "revision": 3, "unread_count": 1, "resumed": True},
        {"type": "presence_state", "online": []},
        inbox(2, 1, replayed=True, added=[item(10)]),
        inbox(3, 1, replayed=True, added=[item(11, is_read=True)]),
        {"type": "synced", "revision": 3, "unread_count": 1},
        inbox(4, 2, added=[item(12)]),
        {"type": "heartbeat", "revision": 4},
        inbox(5, 1, read=[10]),
        inbox(6, 0, removed=[12]),
    ]


def apply_all(frames: Frames) -> InboxReplica:
    replica = InboxReplica()
    for frame in frames:
        replica.apply(frame)
    return replica


def test_a_valid_connection_ends_with_its_rows():
    replica = apply_all(valid())
    assert (replica.epoch, replica.revision, replica.unread_count) == ("e", 6, 0)
    assert replica.read_marks == {10: True, 11: True}
    assert replica.times_added == {10: 1, 11: 1, 12: 1}


def drop_second_replay(frames: Frames) -> None:
    del frames[3]
    frames[3]["revision"] = 2


# What is wrong, the words of the check that must find it, and how a valid connection is corrupted.
FAULTS: list[tuple[str, str, Callable[[Frames], object]]] = [
    ("no hello", "as frame 1", lambda frames: frames.pop(0)),
    ("a second hello", "hello as frame 6", lambda frames: frames.insert(5, dict(frames[0]))),
    ("no presence_state", "as frame 2", lambda frames: frames.pop(1)),
    ("resumed, then reset", "then", lambda frames: frames.insert(2, {**frames[4], "type": "reset"})),
    ("synced without resumed", "then", lambda frames: frames[0].update(resumed=False)),
    ("live before synced", "live before synced", lambda frames: frames[2].update(replayed=False)),
    ("a replay that falls", "doesn't rise", lambda frames: frames[3].update(revision=1)),
    ("a replayed row twice", "twice in one replay", lambda frames: frames[3].update(added=[item(10)])),
    ("a replayed read mark", "rows, not changes", lambda frames: frames[3].update(read=[10])),
    ("a replayed unread mark", "rows, not changes", lambda frames: frames[3].update(unread=[10])),
    ("synced below the replay", "synced goes back", lambda frames: frames[4].update(revision=2)),
    ("synced below hello", "synced goes back", drop_second_replay),
    ("a jump", "live 5 after 3", lambda frames: frames[5].update(revision=5)),
    ("a revision twice", "live 4 after 4", lambda frames: frames.insert(6, copy.deepcopy(frames[5]))),
    ("an empty revision", "an empty revision", lambda frames: frames[5].update(added=[])),
    ("a row in two lists", "twice in one frame", lambda frames: frames[5].update(removed=[12])),
    ("101 rows in a revision", "101 rows", lambda frames: frames[5].update(removed=list(range(500, 600)))),
    ("a row that was added already", "added twice", lambda frames: frames[5].update(added=[item(10)])),
    ("a heartbeat of another revision", "on a connection at 4", lambda frames: frames[6].update(revision=3)),
    ("a wrong badge in synced", "badge is wrong", lambda frames: frames[4].update(unread_count=2)),
    ("a wrong badge in a live frame", "badge is wrong", lambda frames: frames[7].update(unread_count=2)),
]


@pytest.mark.parametrize(("what", "found", "corrupt"), FAULTS, ids=[what for what, *_ in FAULTS])
def test_a_frame_that_the_contract_does_not_allow_fails(what, found, corrupt):
    frames = valid()
    corrupt(frames)
    with pytest.raises(AssertionError, match=found):
        apply_all(frames)


def test_applying_a_frame_twice_changes_nothing():
    """A list read over HTTP may be ahead of the connection: the frames up to its revision are passed over."""
    replica, listed = InboxReplica(), InboxReplica(5, 1, [item(12), item(10, is_read=True)])
    replica.load(listed)
    replica.begin_connection(3)
    hello, presence_state, _, _, synced, *live = valid()
    for frame in (hello, presence_state, synced):
        replica.apply(frame)
    replica.load(listed)
    for frame in live[:3]:
        replica.apply(frame)
        assert replica == listed
    replica.apply(live[3])
    assert replica.read_marks == {10: True}


def test_after_a_reset_only_the_list_counts():
    replica = apply_all(valid())
    replica.apply({"type": "reset", "revision": 2, "unread_count": 7})
    assert replica.items == {}
    listed = InboxReplica(9, 1, [item(20)])
    replica.load(listed)
    assert replica == listed
    assert replica.resets == 1


def test_presence_of_a_lower_version_is_ignored():
    presence = PresenceReplica()
    entry = {"user": {"id": 1, "username": "ada"}, "is_online": True, "version": 4}
    presence.apply({"type": "presence_state", "online": [entry]})
    presence.apply({"type": "presence", **entry, "is_online": False, "version": 4})
    assert presence.contacts["ada"]["is_online"]
    presence.apply({"type": "presence", **entry, "is_online": False, "version": 5})
    assert not presence.contacts["ada"]["is_online"]
    assert len(presence.changes) == 1
