import asyncio

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from realtime.channel_layer import GuardedRedisLayer
from realtime.channel_layer import layer as layer_module
from realtime.channel_layer.subscriber import Subscriber

# Nothing listens there: tests simulate what they need of Redis.
HOSTS = ["redis://127.0.0.1:1"]


@pytest.fixture
async def layer(monkeypatch):
    """A layer whose subscriptions are confirmed at once; what Redis brings is given to `_deliver`."""

    async def subscribe(self, name):
        self._wanted[name] = None

    monkeypatch.setattr(Subscriber, "subscribe", subscribe)
    made = GuardedRedisLayer(hosts=HOSTS, prefix="doorbell")
    yield made
    await made.flush()


async def joined(layer, group="group"):
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    return channel


def wanted(layer):
    [subscriber] = layer._get_layer()._shards
    return [name for name in subscriber._wanted if ".echo." not in name]


def deliver(layer, data, name="doorbell__group__group"):
    layer._get_layer()._deliver(name, data)


async def test_names_are_the_stock_layers(layer):
    channel = await joined(layer)
    stock = RedisPubSubChannelLayer(hosts=HOSTS, prefix="doorbell")._get_layer()
    assert wanted(layer) == [channel, stock._get_group_channel_name("group")]
    assert channel.startswith("doorbellspecific.")


async def test_every_channel_of_a_group_gets_each_message_once_in_order(layer):
    channels = [await joined(layer) for _ in range(3)]
    stranger = await joined(layer, "other")
    for number in range(5):
        deliver(layer, layer.serialize({"number": number}))
    deliver(layer, layer.serialize({"number": 5}), stranger)
    for channel in channels:
        assert [(await layer.receive(channel))["number"] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert await layer.receive(stranger) == {"number": 5}


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"text", b"\x81\x01\x02"])
async def test_a_message_that_cannot_be_decoded_is_counted_and_skipped(layer, data):
    channel = await joined(layer)
    deliver(layer, data)
    deliver(layer, layer.serialize({"type": "good"}))
    assert await layer.receive(channel) == {"type": "good"}
    assert layer.malformed == 1


@pytest.mark.parametrize(("bound", "value"), [("MAX_MESSAGES", 10), ("MAX_BYTES", 10 * 1000)])
async def test_the_queue_of_a_slow_receiver_is_bounded_and_its_overflow_is_a_gap(
    layer, monkeypatch, bound, value
):
    monkeypatch.setattr(layer_module, bound, value)
    gaps = []
    layer.on_gap(lambda: gaps.append(layer.dropped))
    channel = await joined(layer)
    for number in range(25):
        deliver(layer, layer.serialize({"number": number, "text": "x" * 990}))
    assert gaps == [10, 20]
    assert layer.dropped == 20
    assert [(await layer.receive(channel))["number"] for _ in range(5)] == [20, 21, 22, 23, 24]
    assert layer._get_layer()._channels[channel].bytes == 0


async def test_only_a_channel_of_this_process_can_be_in_a_group(layer):
    with pytest.raises(RuntimeError, match="isn't a channel of this process"):
        await layer.group_add("group", "doorbellspecific.elsewhere")
    await layer.group_discard("group", "doorbellspecific.elsewhere")


async def test_the_last_channel_to_leave_a_group_ends_its_subscription(layer):
    one, other = await joined(layer), await joined(layer)
    await layer.group_discard("group", one)
    assert "doorbell__group__group" in wanted(layer)
    await layer.group_discard("group", other)
    await layer.group_discard("group", other)
    assert wanted(layer) == [one, other]


async def test_a_channel_without_a_receiver_ends(layer, monkeypatch):
    monkeypatch.setattr(layer_module, "IDLE_SECONDS", 0)
    one, other = await joined(layer), await joined(layer)
    receiving = asyncio.create_task(layer.receive(one))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])
    await asyncio.sleep(0.01)
    assert set(wanted(layer)) == {other, "doorbell__group__group"}
    deliver(layer, layer.serialize({"number": 1}))
    assert await layer.receive(other) == {"number": 1}


async def cancelled(receiving):
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])


async def test_who_receives_with_a_timeout_misses_nothing_and_stays_in_the_group(layer):
    channel = await joined(layer)
    for number in range(3):
        await cancelled(asyncio.create_task(layer.receive(channel)))
        deliver(layer, layer.serialize({"number": number}))
        assert await layer.receive(channel) == {"number": number}


async def test_of_two_who_receive_from_a_channel_one_may_leave(layer, monkeypatch):
    monkeypatch.setattr(layer_module, "IDLE_SECONDS", 0)
    leaving, staying = (asyncio.create_task(layer.receive("thumbnails")) for _ in range(2))
    await cancelled(leaving)
    await asyncio.sleep(0.01)
    assert wanted(layer) == ["thumbnails"]
    deliver(layer, layer.serialize({"number": 1}), "thumbnails")
    assert await staying == {"number": 1}


async def test_each_message_on_a_general_channel_goes_to_one_receiver(layer):
    receiving = [asyncio.create_task(layer.receive("thumbnails")) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        deliver(layer, layer.serialize({"number": number}), "thumbnails")
    answers = await asyncio.gather(*receiving)
    assert sorted(answer["number"] for answer in answers) == [0, 1, 2]


@pytest.mark.parametrize("message", ["text", 5, [], None, {"no": "type"}, {"type": ["list"]}])
async def test_what_another_program_sends_is_delivered_as_it_is(layer, message):
    deliver(layer, layer.serialize({"type": "subscribes"}), "thumbnails")
    receiving = asyncio.create_task(layer.receive("thumbnails"))
    await asyncio.sleep(0)
    deliver(layer, layer.serialize(message), "thumbnails")
    assert await receiving == message


async def test_a_channel_whose_maker_is_cancelled_is_forgotten(layer, monkeypatch):
    async def never(self, name):
        self._wanted[name] = None
        await asyncio.Event().wait()

    monkeypatch.setattr(Subscriber, "subscribe", never)
    await cancelled(asyncio.create_task(layer.new_channel()))
    assert wanted(layer) == []
    assert layer._get_layer()._channels == {}


BAD_NAMES = ["", "with space", "umläut", "a:b", "x" * 100, 5, None, b"bytes"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_names_are_checked_as_the_specification_says(layer, name):
    channel = await layer.new_channel()
    with pytest.raises(TypeError, match="name must be"):
        await layer.send(name, {"type": "any"})
    with pytest.raises(TypeError, match="name must be"):
        await layer.receive(name)
    with pytest.raises(TypeError, match="name must be"):
        await layer.group_add(name, channel)
    with pytest.raises(TypeError, match="name must be"):
        await layer.group_send(name, {"type": "any"})
    assert wanted(layer) == [channel]


async def test_the_prefix_may_have_other_characters(layer, monkeypatch):
    published = []

    async def publish(self, name, data):
        published.append(name)

    monkeypatch.setattr(Subscriber, "publish", publish)
    odd = GuardedRedisLayer(hosts=HOSTS, prefix="my site:" + "x" * 80)
    channel = await odd.new_channel()
    await odd.send(channel, {"type": "any"})
    await odd.group_send("group", {"type": "any"})
    assert published == [channel, odd.prefix + "__group__group"]
    await odd.flush()


async def test_the_layer_says_what_it_can(layer):
    assert layer.extensions == ["groups", "flush"]
    positional = GuardedRedisLayer(HOSTS, "doorbell")
    assert positional.prefix == "doorbell"
    [shard] = positional._get_layer()._shards
    assert shard._pool.connection_kwargs["port"] == 1


async def test_before_the_first_subscription_nothing_is_known_of_redis():
    layer = GuardedRedisLayer(hosts=HOSTS)
    assert (layer.started, layer.healthy, layer.disconnected) == (False, True, False)
    assert (layer.generation, layer.reconnects, layer.probe_seconds) == (0, 0, None)


async def test_without_redis_a_channel_is_made_and_a_join_raises_and_is_remembered(monkeypatch):
    monkeypatch.setattr("realtime.channel_layer.subscriber.CONFIRM_SECONDS", 0.05)
    layer = GuardedRedisLayer(hosts=HOSTS)
    channel = await layer.new_channel()
    with pytest.raises(TimeoutError):
        await layer.group_add("group", channel)
    assert set(wanted(layer)) == {channel, "asgi__group__group"}
    assert layer.started
    assert not layer.healthy
    await layer.flush()
    assert not layer.started


def test_each_event_loop_has_connections_of_its_own_that_are_closed_with_it(monkeypatch):
    monkeypatch.setattr("realtime.channel_layer.subscriber.CONFIRM_SECONDS", 0.01)
    layer = GuardedRedisLayer(hosts=HOSTS)
    seen = []

    async def use():
        await layer.new_channel()
        [subscriber] = layer._get_layer()._shards
        seen.append(subscriber)
        assert layer.started

    for _ in range(3):
        asyncio.run(use())
        assert layer._layers == {}
    assert len(set(seen)) == 3
    assert not any(subscriber.started for subscriber in seen)
