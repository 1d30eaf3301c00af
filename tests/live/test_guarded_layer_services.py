"""The guarded layer on a real Redis that dies, hangs and comes back."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis, RedisError

from realtime.channel_layer import GuardedRedisLayer
from realtime.outbound.envelopes import GroupMessage
from realtime.outbound.redis_publisher import RedisPublisher
from tools.services import RedisServer

TIMEOUT = 60


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def layer(redis: RedisServer) -> AsyncIterator[GuardedRedisLayer]:
    made = GuardedRedisLayer(hosts=[redis.url], prefix="doorbell")
    yield made
    await made.flush()


async def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.02)


async def joined(layer: GuardedRedisLayer, count: int) -> str:
    channel: str = await layer.new_channel()
    await asyncio.gather(*(layer.group_add(f"user.{number}", channel) for number in range(count)))
    return channel


async def receive(layer: GuardedRedisLayer, channel: str, count: int) -> list[object]:
    async with asyncio.timeout(TIMEOUT):
        return [(await layer.receive(channel))["number"] for _ in range(count)]


async def test_what_is_published_right_after_a_join_is_always_received(
    layer: GuardedRedisLayer, redis: RedisServer
) -> None:
    publisher = RedisPublisher(RedisPubSubChannelLayer(hosts=[redis.url], prefix="doorbell"))
    channel = await layer.new_channel()
    for number in range(300):
        await layer.group_add(f"user.{number}", channel)
        publisher.publish([GroupMessage(f"user.{number}", {"number": number})])
    assert await receive(layer, channel, 300) == list(range(300))
    publisher.close()


async def test_the_stock_layer_and_ours_receive_from_each_other(
    layer: GuardedRedisLayer, redis: RedisServer
) -> None:
    stock = RedisPubSubChannelLayer(hosts=[redis.url], prefix="doorbell")
    here, there = await layer.new_channel(), await stock.new_channel()
    await layer.group_add("group", here)
    await stock.group_add("group", there)
    receiving = asyncio.create_task(stock.receive(there))
    while not receiving.done():
        # The stock layer returns from group_add before Redis has confirmed.
        await layer.group_send("group", {"number": 1})
        await asyncio.wait([receiving], timeout=0.1)
    assert receiving.result() == {"number": 1}
    await stock.group_send("group", {"number": 2})
    while (await receive(layer, here, 1)) != [2]:
        pass
    await stock.send(here, {"number": 3})
    assert await receive(layer, here, 1) == [3]
    await stock.flush()


async def test_a_general_channel_carries_messages_between_processes_and_survives_a_restart(
    layer: GuardedRedisLayer, redis: RedisServer
) -> None:
    worker, stock = (
        kind(hosts=[redis.url], prefix="doorbell") for kind in (GuardedRedisLayer, RedisPubSubChannelLayer)
    )

    async def delivers(number: int) -> None:
        receiving = asyncio.create_task(worker.receive("thumbnails"))
        while not receiving.done():
            # What is sent before the worker is subscribed has no receiver; what goes by a connection that Redis has
            # closed is an error.
            with contextlib.suppress(RedisError):
                await (layer, stock)[number % 2].send("thumbnails", {"number": number})
            await asyncio.wait([receiving], timeout=0.1)
        while receiving.result() != {"number": number}:
            receiving = asyncio.create_task(worker.receive("thumbnails"))
            await asyncio.wait([receiving])

    async with asyncio.timeout(TIMEOUT):
        await delivers(1)
        await delivers(2)
        await asyncio.to_thread(redis.kill)
        await eventually(lambda: worker.disconnected)
        await asyncio.to_thread(redis.start)
        await eventually(lambda: worker.healthy)
        await delivers(4)
    await worker.flush()
    await stock.flush()


async def test_a_megabyte_and_every_type_of_the_specification_arrive_in_order(
    layer: GuardedRedisLayer,
) -> None:
    channel = await layer.new_channel()
    values = {"bytes": b"\0\xff", "list": [1, 2.5, None, True], "dict": {"a": -(2**63)}}
    sent = {"type": "any", "text": "ü" * 1_000_000, **values}
    for number in range(3):
        await layer.send(channel, {**sent, "number": number})
    async with asyncio.timeout(TIMEOUT):
        assert [await layer.receive(channel) for _ in range(3)] == [{**sent, "number": n} for n in range(3)]


async def test_after_a_restart_500_groups_are_joined_again_before_the_gap_is_reported(
    layer: GuardedRedisLayer, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await joined(layer, 500)
    gaps: list[int] = []
    layer.on_gap(lambda: gaps.append(layer.generation))
    assert (layer.generation, layer.reconnects) == (1, 0)
    await asyncio.to_thread(redis.kill)
    await eventually(lambda: layer.disconnected)
    await eventually(lambda: not layer.healthy)
    with pytest.raises((RedisError, OSError)):
        await layer.group_send("user.1", {"number": -1})
    await asyncio.to_thread(redis.start)
    await eventually(lambda: gaps)
    assert layer.healthy
    assert (gaps, layer.reconnects) == ([2], 1)
    for number in range(500):
        await layer.group_send(f"user.{number}", {"number": number})
    assert await receive(layer, channel, 500) == list(range(500))
    await eventually(lambda: layer.probe_seconds is not None)
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    lost, recovered = [line.message for line in lines]
    assert lost.startswith("Redis connection lost")
    assert recovered.startswith("Redis connection recovered")
    assert not [line for line in caplog.records if line.exc_info]


async def test_a_redis_that_hangs_is_noticed_and_blocks_no_caller_for_long(
    layer: GuardedRedisLayer, redis: RedisServer
) -> None:
    channel = await joined(layer, 3)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    redis.pause()
    try:
        # One by one, and all at once: none waits for another one.
        tries = [layer.group_send("user.1", {"number": number}) for number in range(20)]
        joins = [layer.group_add(f"user.{number}", channel) for number in range(10, 30)]
        async with asyncio.timeout(TIMEOUT):
            answers = await asyncio.gather(*tries, *joins, return_exceptions=True)
        assert all(isinstance(answer, Exception) for answer in answers)
        await eventually(lambda: layer.disconnected)
        assert ticks > 20
    finally:
        redis.resume()
    await eventually(lambda: layer.healthy)
    # What was asked for while Redis hung has been joined since.
    await layer.group_send("user.29", {"number": 29})
    while (await receive(layer, channel, 1)) != [29]:
        pass
    ticking.cancel()


async def test_a_subscriber_that_redis_disconnects_is_back_by_itself(
    layer: GuardedRedisLayer, redis: RedisServer
) -> None:
    channel = await joined(layer, 3)
    [subscriber] = layer._get_layer()._shards
    await subscriber._redis.client_kill_filter(_type="pubsub")
    await eventually(lambda: layer.generation == 2)
    await layer.group_send("user.2", {"number": 2})
    assert await receive(layer, channel, 1) == [2]


async def test_groups_that_are_left_and_channels_that_end_are_unsubscribed(
    layer: GuardedRedisLayer, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.channel_layer.layer.IDLE_SECONDS", 0.1)
    channel = await joined(layer, 3)
    await layer.group_discard("user.1", channel)
    [subscriber] = layer._get_layer()._shards

    async def subscribed() -> set[str]:
        names = await subscriber._redis.pubsub_channels()
        return {name.decode() for name in names if b".echo." not in name}

    async def becomes(names: set[str]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while await subscribed() != names:
            assert time.monotonic() < deadline, await subscribed()
            await asyncio.sleep(0.02)

    await becomes({channel, "doorbell__group__user.0", "doorbell__group__user.2"})
    for _ in range(20):
        await layer.group_discard("user.2", channel)
        joining = asyncio.create_task(layer.group_add("user.2", channel))
        await asyncio.sleep(0)
        await layer.group_discard("user.2", channel)
        await layer.group_add("user.2", channel)
        await joining
        await layer.group_send("user.2", {"number": 2})
        assert await receive(layer, channel, 1) == [2]
    receiving = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])
    await becomes(set())


def test_event_loops_one_after_another_leave_no_connection(redis: RedisServer) -> None:
    layer = GuardedRedisLayer(hosts=[redis.url], prefix="doorbell")

    async def use() -> None:
        channel = await joined(layer, 5)
        await layer.group_send("user.4", {"number": 4})
        assert await receive(layer, channel, 1) == [4]
        assert layer.healthy

    for _ in range(3):
        asyncio.run(use())
    with Redis.from_url(redis.url) as admin:
        deadline = time.monotonic() + TIMEOUT
        # Redis notices a closed connection a moment later.
        while len(admin.client_list()) > 1:
            assert time.monotonic() < deadline, admin.client_list()
            time.sleep(0.02)
