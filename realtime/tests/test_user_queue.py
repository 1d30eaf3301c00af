"""The relay's queue of users: single events beside broadcasts and backlogs, and locked inboxes."""

from types import SimpleNamespace

from messaging.sequencing import Step
from realtime.outbound import user_queue
from realtime.outbound.user_queue import MAX_FEW, UserQueue

NOTHING = Step([], [], [], [])


def test_users_are_taken_once_each_first_in_first_out():
    queue = UserQueue()
    for user_id in (3, 1, 3, 2):
        queue.add([user_id])
    assert len(queue) == 3
    assert queue.take(2) == [3, 1]
    assert queue.take(2) == [2]
    assert queue.take(2) == []
    assert not queue


def test_a_broadcast_and_single_events_take_turns():
    queue = UserQueue()
    broadcast = range(1000, 1000 + 2 * MAX_FEW)
    queue.add(broadcast)
    assert queue.take(MAX_FEW) == list(broadcast[:MAX_FEW])
    queue.add([1])
    queue.add([broadcast[-1]])
    assert queue.take(MAX_FEW) == [1, broadcast[-1]]
    # Single events without end don't hold up the broadcast either.
    queue.add([2])
    assert queue.take(MAX_FEW) == list(broadcast[MAX_FEW:-1])
    assert queue.take(MAX_FEW) == [2]


def test_a_user_with_a_backlog_goes_to_the_end_and_no_event_promotes_them():
    queue = UserQueue()
    for user_id in (1, 2, 3):
        queue.add([user_id])
    assert queue.take(10) == [1, 2, 3]
    queue.add([1])
    queue.settle([1, 2, 3], Step([], [2, 3], [1], []))
    queue.add([1])
    queue.add([4])
    assert queue.take(2) == [1]
    queue.settle([1], Step([], [], [1], []))
    assert queue.take(2) == [2, 3]
    assert queue.take(2) == [1]
    queue.settle([1], NOTHING)
    queue.add([1])
    assert queue.take(2) == [4, 1]


def test_a_locked_inbox_is_tried_again_beside_the_others_and_given_up_in_the_end(monkeypatch):
    queue = UserQueue()
    now = 100.0
    monkeypatch.setattr(user_queue, "time", SimpleNamespace(monotonic=lambda: now))
    queue.add([1])
    assert queue.take(10) == [1]
    assert queue.settle([1], Step([], [], [], [1])) == []
    assert queue.take(10) == [1]
    assert queue.settle([1], Step([], [], [], [1])) == []
    # Between two attempts there is no user to take, but the queue isn't empty.
    assert queue.take(10) == []
    assert len(queue) == 1
    assert queue.pause > 0
    queue.add([2])
    assert queue.pause == 0
    assert queue.take(10) == [2]
    now += user_queue.MAX_LOCKED_SECONDS + 0.1
    assert queue.take(10) == [1]
    assert queue.settle([1], Step([], [], [], [1])) == [1]
    assert not queue


def test_locked_inboxes_delay_no_others_however_long_a_step_takes(monkeypatch):
    """Each step here takes longer than the pause between two attempts at the locked inbox."""
    queue, now = UserQueue(), 100.0
    monkeypatch.setattr(user_queue, "time", SimpleNamespace(monotonic=lambda: now))
    queue.add([1])
    queue.settle(queue.take(10), Step([], [], [], [1]))
    taken = []
    for user_id in (2, 3, 4):
        now += 2 * user_queue.RETRY_SECONDS
        queue.add([user_id])
        for _ in range(2):
            now += 2 * user_queue.RETRY_SECONDS
            taken.append(users := queue.take(10))
            queue.settle(users, Step([], [], [], [1]) if users == [1] else NOTHING)
    assert [users for users in taken if users != [1]] == [[2], [3], [4]]
