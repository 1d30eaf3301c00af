"""What a user may cost isn't reset by another socket: more of it waits, and is served all the same."""

import asyncio
from types import SimpleNamespace

import pytest

from messaging.notifications import notify
from realtime import pacing
from realtime.db_threads import in_thread
from realtime.fair_queue import FairQueue
from realtime.pacing import KEPT, MAX_WAIT_SECONDS, Pace
from realtime.tests.client import TIMEOUT, handshake


@pytest.fixture
def clock(monkeypatch):
    """Moved by the test."""
    made = [1000.0]
    monkeypatch.setattr("messaging.token_bucket.time", SimpleNamespace(monotonic=lambda: made[0]))
    return made


def test_a_burst_is_free_and_after_it_one_waits_for_as_long_as_it_took(clock):
    pace = Pace(lambda: 2.0, 5)
    assert [pace.take(1, 1) for _ in range(10)] == [0] * 10
    assert (pace.take(1, 1), pace.take(1, 1)) == (0.5, 1.0)
    assert pace.wait(1) == 1.0
    assert pace.take(2, 1) == 0, "another user"
    clock[0] += 1
    assert pace.wait(1) == 0
    assert pace.take(1, 1_000_000) == MAX_WAIT_SECONDS


def test_what_is_kept_of_users_who_are_gone_is_bounded_in_time(clock):
    pace = Pace(lambda: 1.0, 5)
    for user_id in range(KEPT):
        pace.take(user_id, 5)
    assert pace.take(0, 1) == 1
    clock[0] += 5
    # User 0 has reserved more than the others, and isn't forgotten before that is paid.
    pace.take(KEPT, 1)
    assert set(pace._buckets) == {0, KEPT}


async def test_places_are_given_by_keys_in_rotation():
    queue, order = FairQueue(1), []

    async def take(key, number):
        async with queue.place(key):
            order.append((key, number))
            await asyncio.sleep(0)

    async with queue.place("flood"):
        waiting = [asyncio.create_task(take("flood", number)) for number in range(4)]
        waiting.append(asyncio.create_task(take("other", 0)))
        await asyncio.sleep(0)
        waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [("flood", 0), ("other", 0), ("flood", 1), ("flood", 3)]
    assert (queue._free, len(queue._waiting)) == (1, 0)


async def test_of_those_that_have_left_nothing_is_kept():
    queue = FairQueue(1)
    assert queue.take("running")
    waiting = [asyncio.create_task(queue.wait(number, number % 2)) for number in range(10)]
    await asyncio.sleep(0)
    assert sum(map(len, queue._waiting.values())) == 10
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not queue._waiting
    queue.give_back("running")
    assert (queue._free, queue._running) == (1, {})


@pytest.mark.django_db(transaction=True)
class TestSockets:
    async def test_more_handshakes_than_a_burst_wait_and_are_served(self, server, ada, settings):
        settings.REALTIME_HANDSHAKES_PER_SECOND = 20
        for _ in range(400):
            assert pacing.handshakes.take(ada.pk, 1) == 0
        # 401 to 403, each 0.05 s later than the one before it.
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await server.connect(ada)
        assert asyncio.get_running_loop().time() - began > 0.05

    async def test_one_that_would_wait_too_long_is_answered_with_503(self, server, ada, grace):
        pacing.handshakes.take(ada.pk, 10_000)
        socket = server.socket("", handshake(await server.session(ada)))
        socket.communicator.scope["extensions"] = {"websocket.http.response": {}}
        await socket.communicator.send_input({"type": "websocket.connect"})
        assert (await socket.receive_event())["status"] == 503
        # It isn't counted, and others aren't affected.
        before = pacing.handshakes._buckets[ada.pk].used
        pacing.handshakes.wait(ada.pk)
        assert pacing.handshakes._buckets[ada.pk].used <= before
        await server.connect(grace)

    async def test_a_client_that_leaves_while_it_waits_is_not_accepted(self, server, ada):
        pacing.handshakes.take(ada.pk, 205)
        socket = server.socket("", handshake(await server.session(ada)))
        await socket.communicator.send_input({"type": "websocket.connect"})
        await socket.communicator.send_input({"type": "websocket.disconnect", "code": 1006})
        await socket.communicator.wait(timeout=TIMEOUT)
        assert ada.pk not in server.hub.users

    async def test_catch_ups_are_charged_to_the_user_and_the_next_one_waits(self, server, ada, settings):
        settings.REALTIME_REPLAY_BYTES_PER_SECOND = 1000
        await in_thread(notify, ada, "announcement", "x" * 200)
        await server.connect(ada, since=0)
        assert pacing.replayed_bytes._buckets[ada.pk].used > 200
        # Beyond the burst every new socket waits, whichever socket has used it up.
        pacing.replayed_bytes.take(ada.pk, 32_000)
        delay = pacing.replayed_bytes.wait(ada.pk)
        assert 0 < delay < 1
        began = asyncio.get_running_loop().time()
        late = await server.open(ada, since=0)
        frames = await late.until("synced")
        assert [frame["type"] for frame in frames] == ["hello", "presence_state", "inbox", "synced"]
        assert asyncio.get_running_loop().time() - began > delay / 2

    async def test_frames_of_all_sockets_of_a_user_are_paced(self, server, ada):
        first, second = await server.connect(ada), await server.connect(ada)
        for socket in (first, second):
            await socket.send_command(type="ping", ref="a")
            await socket.until("pong")
        assert pacing.frames.wait(ada.pk) == 0
        pacing.frames.take(ada.pk, 1220)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await second.send_command(type="ping", ref="b")
            await second.until("pong")
        # They were answered, the first at once, and none of them earlier than the rate of 100 a second allows.
        assert asyncio.get_running_loop().time() - began > 0.1
        assert second.live
