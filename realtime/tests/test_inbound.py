import asyncio
from itertools import pairwise
from types import SimpleNamespace

import pytest

from realtime.server.inbound import LIGHT_BYTES, Inbound
from realtime.server.turns import BYTES_PER_TURN, PAUSE_SECONDS
from realtime.server.websocket_protocol import BYTES_PER_BURST, BYTES_PER_SECOND


class Loop:
    """A clock that only `run` moves, and what is due."""

    def __init__(self):
        self.now = 0.0
        self.due = []

    def call_later(self, delay, call):
        self.due.append((self.now + delay, call))
        return asyncio.TimerHandle(0, call, (), self)  # type: ignore[arg-type]

    def get_debug(self):
        return False

    def _timer_handle_cancelled(self, handle):
        self.due.clear()

    def turn(self):
        """Run what is due next."""
        self.due.sort(key=lambda timer: timer[0])
        when, call = self.due.pop(0)
        self.now = max(self.now, when)
        call()


@pytest.fixture
def loop(monkeypatch):
    made = Loop()
    monkeypatch.setattr("messaging.token_bucket.time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def parsed():
    return []


@pytest.fixture
def make(loop):
    """Makes an Inbound, and a dictionary that says whether it has reading paused."""

    def make(parse, *measure):
        state = {"paused": False}
        made = Inbound(
            loop,
            parse,
            lambda: state.update(paused=True),
            lambda: state.update(paused=False),
            *measure,
            bytes_per_second=BYTES_PER_SECOND,
            bytes_per_burst=BYTES_PER_BURST,
        )
        return made, state

    return make


@pytest.fixture
def reading(make, parsed):
    return make(parsed.append)


def test_what_a_client_usually_sends_is_parsed_at_once(reading, parsed, loop):
    received, state = reading
    received.receive(b"x" * 100)
    assert (parsed, loop.due, state["paused"]) == ([b"x" * 100], [], False)


def test_more_is_parsed_in_slices_a_turn_each_and_in_order(reading, parsed, loop):
    received, state = reading
    data = bytes(range(256)) * 64
    received.receive(data)
    assert (parsed, state["paused"]) == ([], True)
    while loop.due:
        loop.turn()
    assert b"".join(parsed) == data
    assert max(map(len, parsed)) == BYTES_PER_TURN
    assert not state["paused"]


def test_what_comes_meanwhile_waits_behind_and_keeps_reading_paused(reading, parsed, loop):
    received, state = reading
    received.receive(b"a" * (BYTES_PER_TURN + 1))
    state["paused"] = False  # as uvicorn does when the application takes a message
    received.receive(b"b")
    assert (parsed, state["paused"]) == ([], True)
    while loop.due:
        loop.turn()
    assert b"".join(parsed) == b"a" * (BYTES_PER_TURN + 1) + b"b"


def test_a_burst_is_free_and_after_it_a_rate_holds(reading, parsed, loop):
    received, _ = reading
    received.receive(b"x" * (BYTES_PER_BURST + 10 * BYTES_PER_SECOND))
    while loop.due and loop.now == 0:
        loop.turn()
    assert sum(map(len, parsed)) <= BYTES_PER_BURST + 2 * BYTES_PER_TURN
    while loop.due:
        loop.turn()
    assert loop.now == pytest.approx(10, abs=0.2)


def test_the_rate_holds_for_small_reads_too(reading, parsed, loop):
    """Each fits into a turn by itself: without the delay of the bucket a steady stream would never be slowed down."""
    received, state = reading
    received.receive(b"x" * BYTES_PER_BURST)
    while loop.due:
        loop.turn()
    began = loop.now
    for _ in range(10 * BYTES_PER_SECOND // 1024):
        received.receive(b"x" * 1024)
        while state["paused"]:
            loop.turn()
    # (During the pauses between turns some of the burst came back.)
    assert loop.now - began == pytest.approx(10, abs=0.5)


def test_a_closed_one_parses_nothing_more(reading, parsed, loop):
    received, _ = reading
    received.receive(b"x" * 3 * BYTES_PER_TURN)
    loop.turn()
    received.close()
    while loop.due:
        loop.turn()
    assert len(parsed) == 1


def test_the_contract_fits_in():
    """60 frames of 4 KiB at once, and five a second: docs/protocol.md §2."""
    assert 60 * (4096 + 8) <= BYTES_PER_BURST
    assert 5 * (4096 + 8) <= BYTES_PER_SECOND


def test_beyond_a_little_clients_take_turns(make, loop, monkeypatch):
    """One turn holds a slice of one client, and a pause follows: whatever floods, the loop has time for the others."""
    monkeypatch.setattr("realtime.server.turns.TURN_SECONDS", 0)
    turns = []
    flooding = [make(lambda data, number=number: turns.append((loop.now, number)))[0] for number in range(3)]
    for one in flooding:
        one.receive(b"x" * 4 * BYTES_PER_TURN)
    while loop.due:
        loop.turn()
    assert [number for _, number in turns] == [0, 1, 2] * 4
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(turns)]
    assert min(pauses) == pytest.approx(PAUSE_SECONDS)


def test_who_sends_little_waits_for_no_turn(make, parsed, loop):
    flooding, _ = make(lambda data: None)
    flooding.receive(b"x" * BYTES_PER_BURST)
    other, _ = make(parsed.append)
    for _ in range(LIGHT_BYTES // 1024):
        other.receive(b"y" * 1024)
    assert len(parsed) == LIGHT_BYTES // 1024
    # What it sends beyond that waits for its turn, though each read is small.
    other.receive(b"y" * 1024)
    assert len(parsed) == LIGHT_BYTES // 1024
    while loop.due:
        loop.turn()
    assert len(parsed) == LIGHT_BYTES // 1024 + 1


def test_nothing_is_parsed_before_it_may_go_on(make, parsed, loop):
    limit = [0]
    received, state = make(parsed.append, lambda waiting: (min(len(waiting), limit[0]), limit[0]))
    received.receive(b"abc")
    received.receive(b"def")
    assert (parsed, loop.due, state["paused"]) == ([], [], True)
    limit[0] = 4
    received.go_on()
    received.go_on()
    while loop.due:
        loop.turn()
    assert (parsed, state["paused"]) == ([b"abcd", b"ef"], False)
