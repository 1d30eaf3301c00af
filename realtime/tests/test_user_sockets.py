import random

import pytest

from realtime.delivery import user_sockets as user_sockets_module
from realtime.delivery.client_socket import SyncState
from realtime.delivery.user_sockets import MAX_KEPT_FRAMES, UserSockets
from realtime.outbound.envelopes import RevisionEnvelope
from realtime.tests.client import eventually

LIVE, BEHIND, CATCHING_UP = SyncState.LIVE, SyncState.BEHIND, SyncState.CATCHING_UP


class Tab:
    """What UserSockets sees of a socket. `behind` lists the sockets that asked for recovery, in order."""

    behind: list["Tab"] = []

    def __init__(self, cursor=0, state=LIVE):
        self.cursor, self.state, self.got = cursor, state, []

    @property
    def is_catching_up(self):
        return self.state is CATCHING_UP

    def send(self, text, step):
        self.cursor = step.revision
        self.got.append(text)

    def request_recovery(self):
        self.state = BEHIND
        self.behind.append(self)


def revision(number, frame):
    return RevisionEnvelope(1, number, 0, frame)


@pytest.fixture(autouse=True)
def behind():
    Tab.behind = []
    return Tab.behind


def sockets_of(*tabs):
    user = UserSockets(1)
    user.sockets.update(tabs)
    return user


def push(user, *revisions):
    for number in revisions:
        user.push(revision(number, f"frame {number}"))


def frames(*revisions):
    return [f"frame {revision}" for revision in revisions]


async def patience_ends(user):
    """Let the time pass in which a missing frame is waited for."""
    await eventually(lambda: user._gap is None)


async def test_who_is_being_read_for_while_frames_are_forgotten_is_read_for_again(behind):
    waits, reads, queued = Tab(8), Tab(10, CATCHING_UP), Tab(8, BEHIND)
    user = sockets_of(waits, reads, queued)
    # The 9th was lost. The 11th came after the reading.
    push(user, 10, 11)
    await patience_ends(user)
    assert set(behind) == {waits, reads}


async def test_frames_in_order_go_to_every_tab_at_once(behind):
    tabs = [Tab(), Tab(), Tab()]
    push(sockets_of(*tabs), 1, 2, 3)
    assert [tab.got for tab in tabs] == [frames(1, 2, 3)] * 3


async def test_a_tab_gets_only_what_is_after_its_cursor(behind):
    old, new = Tab(4), Tab(6)
    push(sockets_of(old, new), 5, 6, 7)
    assert old.got == frames(5, 6, 7)
    assert new.got == frames(7)


async def test_a_frame_that_comes_twice_is_sent_once(behind):
    tab = Tab()
    push(sockets_of(tab), 1, 1, 2, 1, 2, 3)
    assert tab.got == frames(1, 2, 3)


async def test_frames_that_overtook_each_other_are_put_in_order(behind):
    tab = Tab()
    user = sockets_of(tab)
    push(user, 3, 2)
    assert tab.got == []
    push(user, 1)
    assert tab.got == frames(1, 2, 3)
    await patience_ends(user)
    assert behind == []


async def test_shuffled_and_doubled_frames_come_once_and_in_order(behind):
    order = [*range(1, 101), *range(1, 101)]
    random.Random(7).shuffle(order)
    tabs = [Tab(), Tab(30), Tab(99)]
    push(sockets_of(*tabs), *order)
    assert [tab.got for tab in tabs] == [frames(*range(1, 101)), frames(*range(31, 101)), frames(100)]


async def test_who_misses_a_frame_for_100_ms_falls_behind(behind):
    assert user_sockets_module.GAP_SECONDS == 0.1
    waits, has_it = Tab(), Tab(1)
    user = sockets_of(waits, has_it)
    push(user, 2, 3)
    assert has_it.got == frames(2, 3)
    assert behind == []
    await patience_ends(user)
    assert behind == [waits]
    assert waits.got == []


async def test_frames_that_come_during_a_catch_up_follow_it(behind):
    tab = Tab()
    user = sockets_of(tab)
    push(user, 2)
    await patience_ends(user)
    push(user, 3, 4)
    assert tab.got == []
    tab.cursor, tab.state = 2, LIVE
    user.flush()
    assert tab.got == frames(3, 4)


async def test_a_second_gap_gets_its_own_time(behind):
    tab = Tab()
    user = sockets_of(tab)
    push(user, 2, 1, 4)
    await patience_ends(user)
    assert tab.got == frames(1, 2)
    assert behind == [tab]


async def test_frames_are_kept_for_a_tab_that_is_being_read_for(behind):
    behind, live = Tab(state=BEHIND), Tab()
    user = sockets_of(behind, live)
    push(user, 1, 2)
    assert (behind.got, live.got) == ([], frames(1, 2))
    behind.state = LIVE
    user.flush()
    assert behind.got == frames(1, 2)


async def test_frames_that_no_socket_needs_are_dropped(behind):
    user = sockets_of(Tab(), Tab())
    push(user, *range(1, 50))
    assert user._kept == {}


async def test_a_tab_that_closes_meanwhile_ends_nothing_but_itself(behind):
    closing, other = Tab(), Tab()
    # As a socket that is gone: its send does nothing, and it is live no more.
    closing.send = lambda text, step: setattr(closing, "state", SyncState.CLOSED)  # type: ignore[method-assign]
    push(sockets_of(closing, other), 1, 2)
    assert other.got == frames(1, 2)


async def test_without_tabs_nothing_is_kept(behind):
    user = sockets_of()
    push(user, 1, 2)
    assert user._kept == {}


async def test_what_is_kept_is_bounded_and_the_newest(behind):
    user = sockets_of(Tab(state=BEHIND))
    push(user, *range(1, 1001))
    assert len(user._kept) == MAX_KEPT_FRAMES == 256
    assert min(user._kept) == 1001 - 256


async def test_what_is_kept_is_bounded_in_bytes_of_memory_too(behind):
    tab = Tab()
    user = sockets_of(tab)
    frame = "x" * 80_000
    for number in range(2, 10):
        user.push(revision(number, frame))
    assert list(user._kept) == [7, 8, 9]
    # 1 byte a character, until one of them is an emoji: then it is 4.
    user.push(revision(10, frame + "\U0001f514"))
    assert list(user._kept) == [10]
    await patience_ends(user)
    assert behind == [tab]
    assert (user._kept, user._kept_bytes) == ({}, 0)


async def test_a_tab_that_needed_what_was_dropped_falls_behind(behind):
    tab = Tab(state=BEHIND)
    user = sockets_of(tab)
    push(user, *range(1, 1001))
    tab.state = LIVE
    user.flush()
    await patience_ends(user)
    assert tab.got == []
    assert behind == [tab]
