"""The relay's queue of messages: the order within a group, rotation over groups, and the bounds in bytes."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.outbound import message_queue
from realtime.outbound.envelopes import GroupMessage, RevisionEnvelope
from realtime.outbound.message_queue import MessageQueue, size_of


def message(group, number, size=0):
    return GroupMessage(group, {"number": number, "frame": "x" * size})


actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(0, 5_000)),
        st.integers(1, 20_000),
    ),
    max_size=60,
)


@given(actions)
def test_a_group_keeps_its_order_and_nothing_is_over_the_bounds(actions):
    queue, taken, given_, dropped = MessageQueue(), [], 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_queue, "MAX_GROUP_BYTES", 12_000)
        patch.setattr(message_queue, "MAX_BYTES", 20_000)
        for number, action in enumerate(actions):
            if isinstance(action, tuple):
                dropped += queue.append(message(action[0], number, action[1]))
                given_ += 1
            else:
                taken += queue.take(action)
            assert queue._bytes <= 20_000
            assert queue._bytes == sum(
                size_of(waiting) for group in queue._groups.values() for waiting in group.messages
            )
    taken += queue.take(10**9)
    assert (len(queue), queue._bytes) == (0, 0)
    assert len(taken) + dropped == given_
    for group in "abc":
        numbers = [content["number"] for name, content in taken if name == group]
        assert numbers == sorted(numbers)


def test_a_group_with_much_delays_and_drops_no_others_message(monkeypatch):
    monkeypatch.setattr(message_queue, "MAX_GROUP_BYTES", 100_000)
    queue = MessageQueue()
    assert queue.append(message("other", 0)) == 0
    # Of the flooded group the oldest go; its last shows the hubs that there was more.
    assert sum(queue.append(message("flooded", number, 30_000)) for number in range(50)) == 47
    queue.append(message("third", 0))
    first = queue.take(33_000)
    assert {group for group, _ in first} == {"other", "flooded", "third"}
    assert [content["number"] for _, content in queue.take(10**9)] == [48, 49]


def test_one_message_over_the_bound_is_kept(monkeypatch):
    monkeypatch.setattr(message_queue, "MAX_BYTES", 1_000)
    queue = MessageQueue()
    assert queue.append(message("group", 1, 50_000)) == 0
    assert len(queue.take(1)) == 1


@pytest.mark.parametrize("frame", ["x" * 100, "😀" * 80_000])
def test_the_size_is_not_below_what_a_message_takes(frame):
    tracemalloc.start()
    try:
        made = [
            RevisionEnvelope(2**40 + n, 2**40 + n, 2**40 + n, frame[:-1] + str(n % 10)).encode()
            for n in range(100)
        ]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used <= sum(map(size_of, made)) * 1.05
