"""In which order and how spread a process takes leave of its sockets."""

from types import SimpleNamespace

import pytest

from realtime.delivery import drain
from realtime.delivery.drain import close_sockets


class Hub:
    """As many sockets, and a clock that only a sleep moves."""

    def __init__(self, count):
        self.now = 0.0
        self.closed = []
        self.sockets = {self.socket(number) for number in range(count)}
        self.users = {1: SimpleNamespace(sockets=self.sockets)}

    def socket(self, number):
        made = type("Socket", (), {"number": number, "is_closing": False, "is_catching_up": False})()

        def close(code, reason):
            made.is_closing = True
            self.closed.append((self.now, code, number))

        made.close = close
        return made

    def time(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def drained(monkeypatch):
    async def run(hub, seconds):
        clock = SimpleNamespace(get_running_loop=lambda: hub, sleep=hub.sleep)
        monkeypatch.setattr(drain, "asyncio", clock)
        await close_sockets(hub, seconds)
        return hub.closed

    return run


async def test_many_are_closed_with_1012_spread_over_the_time(drained):
    closed = await drained(Hub(2000), 5)
    assert sorted(number for _, _, number in closed) == list(range(2000))
    assert {code for _, code, _ in closed} == {1012}
    times = [at for at, _, _ in closed]
    assert 4 < max(times) < 6
    assert max(sum(start <= at < start + 0.1 for at in times) for start in times) <= 0.1 * 2000


async def test_a_few_take_less_and_none_take_nothing(drained):
    assert max(at for at, _, _ in await drained(Hub(3), 600)) < 1
    assert await drained(Hub(0), 600) == []


async def test_a_step_that_comes_late_does_not_close_all_that_was_missed(drained):
    class Late(Hub):
        async def sleep(self, seconds):
            await super().sleep(3 if self.now == 0 else seconds)

    times = [at for at, _, _ in await drained(Late(1000), 5)]
    assert max(times.count(at) for at in times) <= 100


async def test_without_any_time_all_are_closed_at_once(drained):
    assert {at for at, _, _ in await drained(Hub(1000), 0)} == {0.0}


async def test_those_who_are_being_caught_up_come_last_but_are_not_waited_for_without_end(drained):
    class Reading(Hub):
        async def sleep(self, seconds):
            await super().sleep(seconds)
            for socket in self.sockets:
                if socket.number == 7 and self.now > 5.5:
                    socket.is_catching_up = False

    hub = Reading(100)
    for socket in hub.sockets:
        socket.is_catching_up = socket.number in (7, 8)
    closed = {number: at for at, _, number in await drained(hub, 5)}
    assert max(at for number, at in closed.items() if number not in (7, 8)) <= 5.2
    assert 5.5 < closed[7] < 6
    assert 7 < closed[8] < 7.5
