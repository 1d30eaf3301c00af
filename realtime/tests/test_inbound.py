import asyncio

import pytest

from realtime.server import inbound
from realtime.server.inbound import BYTES_PER_BURST, BYTES_PER_SECOND, BYTES_PER_TURN, Inbound


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
    monkeypatch.setattr("messaging.token_bucket.time.monotonic", lambda: made.now)
    return made


@pytest.fixture
def parsed():
    return []


@pytest.fixture
def reading(loop, parsed):
    """An Inbound, and whether it has reading paused."""
    state = {"paused": False}
    made = Inbound(loop, parsed.append, lambda: state.update(paused=True), lambda: state.update(paused=False))
    return made, state


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
    assert loop.now - began == pytest.approx(10, abs=0.2)


def test_a_closed_one_parses_nothing_more(reading, parsed, loop):
    received, _ = reading
    received.receive(b"x" * 3 * BYTES_PER_TURN)
    loop.turn()
    received.close()
    assert (len(parsed), loop.due) == (1, [])


def test_the_contract_fits_in(loop):
    """60 frames of 4 KiB at once, and five a second: docs/protocol.md §2."""
    assert 60 * (4096 + 8) <= inbound.BYTES_PER_BURST
    assert 5 * (4096 + 8) <= inbound.BYTES_PER_SECOND
