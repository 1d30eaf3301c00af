import random

import pytest

from realtime.delivery import user_sockets as feed_module
from realtime.delivery.user_sockets import MOST_KEPT_FRAMES, Feed
from realtime.tests.client import eventually


class Tab:
    """What a feed sees of a connection."""

    def __init__(self, cursor=0, *, live=True, reading=False):
        self.cursor, self.live, self.reading, self.closing, self.got = cursor, live, reading, False, []

    def send(self, text, step):
        if self.closing:
            return
        self.cursor, _ = step
        self.got.append(text)


class Reader:
    """Stands for the hub's reader."""

    def __init__(self):
        self.behind = []

    def fall_behind(self, connection):
        connection.live = False
        self.behind.append(connection)


@pytest.fixture
def reader():
    return Reader()


def feed_of(*tabs):
    feed = Feed(1)
    feed.connections.update(tabs)
    return feed


def push(feed, reader, *revisions):
    for revision in revisions:
        feed.push(revision, 0, f"frame {revision}", reader.fall_behind)


def frames(*revisions):
    return [f"frame {revision}" for revision in revisions]


async def patience_ends(feed):
    """Let the time pass in which a missing frame is waited for."""
    await eventually(lambda: feed._gap is None)


async def test_who_is_being_read_for_while_frames_are_forgotten_is_read_for_again(reader):
    waits, reads, queued = Tab(8), Tab(10, live=False, reading=True), Tab(8, live=False)
    feed = feed_of(waits, reads, queued)
    # The 9th was lost. The 11th came after the reading.
    push(feed, reader, 10, 11)
    await patience_ends(feed)
    assert set(reader.behind) == {waits, reads}


async def test_frames_in_order_go_to_every_tab_at_once(reader):
    tabs = [Tab(), Tab(), Tab()]
    push(feed_of(*tabs), reader, 1, 2, 3)
    assert [tab.got for tab in tabs] == [frames(1, 2, 3)] * 3


async def test_a_tab_gets_only_what_is_after_its_cursor(reader):
    old, new = Tab(4), Tab(6)
    push(feed_of(old, new), reader, 5, 6, 7)
    assert old.got == frames(5, 6, 7)
    assert new.got == frames(7)


async def test_a_frame_that_comes_twice_is_sent_once(reader):
    tab = Tab()
    push(feed_of(tab), reader, 1, 1, 2, 1, 2, 3)
    assert tab.got == frames(1, 2, 3)


async def test_frames_that_overtook_each_other_are_put_in_order(reader):
    tab = Tab()
    feed = feed_of(tab)
    push(feed, reader, 3, 2)
    assert tab.got == []
    push(feed, reader, 1)
    assert tab.got == frames(1, 2, 3)
    await patience_ends(feed)
    assert reader.behind == []


async def test_shuffled_and_doubled_frames_come_once_and_in_order(reader):
    order = [*range(1, 101), *range(1, 101)]
    random.Random(7).shuffle(order)
    tabs = [Tab(), Tab(30), Tab(99)]
    push(feed_of(*tabs), reader, *order)
    assert [tab.got for tab in tabs] == [frames(*range(1, 101)), frames(*range(31, 101)), frames(100)]


async def test_who_misses_a_frame_for_100_ms_falls_behind(reader):
    assert feed_module.GAP_SECONDS == 0.1
    waits, has_it = Tab(), Tab(1)
    feed = feed_of(waits, has_it)
    push(feed, reader, 2, 3)
    assert has_it.got == frames(2, 3)
    assert reader.behind == []
    await patience_ends(feed)
    assert reader.behind == [waits]
    assert waits.got == []


async def test_what_comes_meanwhile_follows_once_the_reader_has_brought_the_missing(reader):
    tab = Tab()
    feed = feed_of(tab)
    push(feed, reader, 2)
    await patience_ends(feed)
    push(feed, reader, 3, 4)
    assert tab.got == []
    tab.cursor, tab.live = 2, True
    feed.flush(reader.fall_behind)
    assert tab.got == frames(3, 4)


async def test_a_second_gap_gets_its_own_time(reader):
    tab = Tab()
    feed = feed_of(tab)
    push(feed, reader, 2, 1, 4)
    await patience_ends(feed)
    assert tab.got == frames(1, 2)
    assert reader.behind == [tab]


async def test_frames_are_kept_for_a_tab_that_is_being_read_for(reader):
    behind, live = Tab(live=False), Tab()
    feed = feed_of(behind, live)
    push(feed, reader, 1, 2)
    assert (behind.got, live.got) == ([], frames(1, 2))
    behind.live = True
    feed.flush(reader.fall_behind)
    assert behind.got == frames(1, 2)


async def test_what_nobody_needs_any_more_is_forgotten(reader):
    feed = feed_of(Tab(), Tab())
    push(feed, reader, *range(1, 50))
    assert feed._kept == {}


async def test_a_tab_that_closes_meanwhile_ends_nothing_but_itself(reader):
    closing, other = Tab(), Tab()
    # Like a connection's, its send does nothing any more: not even move the cursor.
    closing.closing = True
    push(feed_of(closing, other), reader, 1, 2)
    assert other.got == frames(1, 2)


async def test_without_tabs_nothing_is_kept(reader):
    feed = feed_of()
    push(feed, reader, 1, 2)
    assert feed._kept == {}


async def test_what_is_kept_is_bounded_and_the_newest(reader):
    feed = feed_of(Tab(live=False))
    push(feed, reader, *range(1, 1001))
    assert len(feed._kept) == MOST_KEPT_FRAMES == 256
    assert min(feed._kept) == 1001 - 256


async def test_what_is_kept_is_bounded_in_bytes_of_memory_too(reader):
    tab = Tab()
    feed = feed_of(tab)
    frame = "x" * 80_000
    for revision in range(2, 10):
        feed.push(revision, 0, frame, reader.fall_behind)
    assert list(feed._kept) == [7, 8, 9]
    # 1 byte a character, until one of them is an emoji: then it is 4.
    feed.push(10, 0, frame + "\U0001f514", reader.fall_behind)
    assert list(feed._kept) == [10]
    await patience_ends(feed)
    assert reader.behind == [tab]
    assert (feed._kept, feed._kept_bytes) == ({}, 0)


async def test_a_tab_that_needed_what_was_dropped_falls_behind(reader):
    tab = Tab(live=False)
    feed = feed_of(tab)
    push(feed, reader, *range(1, 1001))
    tab.live = True
    feed.flush(reader.fall_behind)
    await patience_ends(feed)
    assert tab.got == []
    assert reader.behind == [tab]
