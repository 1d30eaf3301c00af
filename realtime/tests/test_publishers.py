import asyncio
import socket
import threading
from types import SimpleNamespace

import pytest
import redis
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer

from realtime import background
from realtime.channel_layer import GuardedRedisLayer
from realtime.outbound import redis_publisher
from realtime.outbound.envelopes import GroupMessage
from realtime.outbound.publishers import (
    LocalPublisher,
    LoopPublisher,
    Unsent,
    publisher_for,
)
from realtime.outbound.redis_publisher import RedisPublisher
from realtime.redis_client import redis_client

HOSTS = [{"address": "redis://127.0.0.1:1/0"}]


class Client:
    """A Redis that records what is published, or raises."""

    made = 0

    def __init__(self):
        self.published = []
        self.executed = 0
        self.error = None
        self.closed = False

    def pipeline(self, transaction):
        assert not transaction
        return self

    def publish(self, channel, data):
        self.published.append((channel, data))

    def execute(self):
        self.executed += 1
        if self.error is not None:
            self.published.clear()
            raise self.error

    def close(self):
        self.closed = True


@pytest.fixture
def clock(monkeypatch):
    """The time by which the breaker goes: a list with one number."""
    now = [1000.0]
    monkeypatch.setattr(redis_publisher, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def to_redis(client, monkeypatch):
    def make(options):
        client.made += 1
        client.closed = False
        return client

    monkeypatch.setattr(redis_publisher, "redis_client", make)
    return RedisPublisher(RedisPubSubChannelLayer(hosts=HOSTS, prefix="doorbell"))


def test_each_kind_of_layer_has_its_publisher():
    assert isinstance(publisher_for(InMemoryChannelLayer()), LocalPublisher)
    assert isinstance(publisher_for(RedisPubSubChannelLayer(hosts=HOSTS)), RedisPublisher)
    assert isinstance(publisher_for(GuardedRedisLayer(hosts=HOSTS)), RedisPublisher)
    other = publisher_for(object())
    assert isinstance(other, LoopPublisher)
    other.close()


def test_a_batch_leaves_in_one_pipeline_as_the_layer_would_send_it(to_redis, client):
    to_redis.publish([("user.1", {"type": "a"}), ("presence", {"type": "b"})])
    assert client.executed == 1
    assert [channel for channel, _ in client.published] == [
        "doorbell__group__user.1",
        "doorbell__group__presence",
    ]
    assert [to_redis.layer.deserialize(data) for _, data in client.published] == [
        {"type": "a"},
        {"type": "b"},
    ]


@pytest.mark.parametrize("kind", [RedisPubSubChannelLayer, GuardedRedisLayer])
def test_with_several_hosts_a_group_goes_where_the_layer_listens(monkeypatch, kind):
    clients = [Client(), Client(), Client()]
    monkeypatch.setattr(redis_publisher, "redis_client", lambda options: clients[options["number"]])
    layer = kind(hosts=[{**HOSTS[0], "number": number} for number in range(3)], prefix="doorbell")
    to_redis = RedisPublisher(layer)
    groups = [f"user.{number}" for number in range(60)]
    to_redis.publish([GroupMessage(group, {"type": "a"}) for group in groups])
    layer._kwargs["hosts"] = HOSTS * 3

    async def listening():
        loop_layer = layer._get_layer()
        if kind is GuardedRedisLayer:
            names = [loop_layer._group(group) for group in groups]
            return {name: loop_layer._shards.index(loop_layer._subscriber(name)) for name in names}
        names = [loop_layer._get_group_channel_name(group) for group in groups]
        return {name: loop_layer._shards.index(loop_layer._get_shard(name)) for name in names}

    expected = asyncio.run(listening())
    sent = {channel: shard for shard, client in enumerate(clients) for channel, _ in client.published}
    assert sent == expected
    assert set(sent.values()) == {0, 1, 2}


def test_the_breaker_waits_longer_and_longer_for_a_redis_that_is_away(to_redis, client, clock):
    client.error = redis.ConnectionError("away")
    pauses = []
    [host] = to_redis.hosts
    for _ in range(5):
        with pytest.raises(Unsent):
            to_redis.publish([GroupMessage("user.1", {})])
        tries = client.executed
        # While it is open nothing is tried, and nothing swallowed.
        clock[0] = host.open_until - 0.001
        with pytest.raises(Unsent) as unsent:
            to_redis.publish([("user.1", {"n": 1}), ("user.2", {"n": 2})])
        assert unsent.value.messages == [("user.1", {"n": 1}), ("user.2", {"n": 2})]
        assert client.executed == tries
        pauses.append(host.pause)
        clock[0] = host.open_until
    assert pauses == [0.5, 1, 2, 2, 2]
    # Whatever it was connected to, it looked the host up anew each time.
    assert client.made == 5


def test_the_breaker_closes_when_redis_is_back_and_forgets(to_redis, client, clock):
    client.error = redis.TimeoutError("hung")
    [host] = to_redis.hosts
    for _ in range(3):
        with pytest.raises(Unsent):
            to_redis.publish([GroupMessage("user.1", {})])
        clock[0] = host.open_until
    client.error = None
    to_redis.publish([GroupMessage("user.1", {})])
    assert len(client.published) == 1
    client.error = redis.ConnectionError("away again")
    with pytest.raises(Unsent):
        to_redis.publish([GroupMessage("user.1", {})])
    assert host.pause == 0.5


def test_a_host_that_is_away_keeps_nothing_from_the_others(monkeypatch):
    away, well = Client(), Client()
    away.error = redis.ConnectionError("away")
    clients = [away, well]
    monkeypatch.setattr(redis_publisher, "redis_client", lambda options: clients[options["number"]])
    hosts = [{**HOSTS[0], "number": number} for number in range(2)]
    to_redis = RedisPublisher(RedisPubSubChannelLayer(hosts=hosts, prefix="doorbell"))
    messages = [GroupMessage(f"user.{number}", {"number": number}) for number in range(40)]
    with pytest.raises(Unsent) as unsent:
        to_redis.publish(messages)
    unsent_groups = {group for group, _ in unsent.value.messages}
    sent_groups = {channel.removeprefix("doorbell__group__") for channel, _ in well.published}
    assert unsent_groups
    assert sent_groups == {group for group, _ in messages} - unsent_groups


def test_a_name_that_leads_nowhere_opens_the_breaker_like_any_failure(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    to_redis = RedisPublisher(RedisPubSubChannelLayer(hosts=[{"address": "redis://redis:6379"}]))
    with pytest.raises(Unsent, match="Name or service not known"):
        to_redis.publish([GroupMessage("user.1", {})])
    assert to_redis.hosts[0].pause == 0.5


def test_a_client_has_its_address_resolved_and_short_timeouts():
    client = redis_client({"address": "redis://:secret@localhost:6399/2"})
    options = client.connection_pool.connection_kwargs
    assert options["host"] in ("127.0.0.1", "::1")
    assert (options["port"], options["db"], options["password"]) == (6399, 2, "secret")
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (1, 1)
    # redis-py's own default: ten tries, each with its timeout.
    assert options["retry"].get_retries() == 0
    client.close()


def test_a_client_takes_every_form_of_host_that_the_layer_takes():
    by_port = redis_client({"host": "127.0.0.1", "port": 6399})
    assert by_port.connection_pool.connection_kwargs["port"] == 6399
    by_options = redis_client({"address": "redis://127.0.0.1:6399", "password": "secret"})
    assert by_options.connection_pool.connection_kwargs["password"] == "secret"
    by_sentinel = redis_client({"sentinels": [("127.0.0.1", 26399)], "master_name": "main"})
    assert isinstance(by_sentinel.connection_pool, redis.sentinel.SentinelConnectionPool)
    assert by_sentinel.connection_pool.service_name == "main"
    for client in (by_port, by_options, by_sentinel):
        client.close()


def test_a_host_that_is_encrypted_keeps_its_name():
    client = redis_client({"address": "rediss://localhost:6399"})
    assert client.connection_pool.connection_kwargs["host"] == "localhost"
    client.close()


def test_closing_closes_the_connections(to_redis, client):
    to_redis.publish([GroupMessage("user.1", {})])
    assert not client.closed
    to_redis.close()
    assert client.closed


async def test_a_local_layer_gets_its_messages_on_the_servers_loop(monkeypatch):
    layer = InMemoryChannelLayer()
    monkeypatch.setattr(background, "server_loops", {asyncio.get_running_loop()})
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    messages = [GroupMessage("group", {"number": number}) for number in range(20)]
    await asyncio.to_thread(LocalPublisher(layer).publish, messages)
    async with asyncio.timeout(10):
        assert [await layer.receive(channel) for _ in messages] == [message for _, message in messages]


def test_without_a_server_in_this_process_a_local_layer_gets_nothing(monkeypatch):
    closed = asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(background, "server_loops", {closed})
    LocalPublisher(InMemoryChannelLayer()).publish([GroupMessage("group", {})])


def test_any_other_layer_is_sent_to_by_its_own_means():
    sent, threads = [], set()

    class Other:
        async def group_send(self, group, message):
            threads.add(threading.current_thread())
            sent.append((group, message))

    to_other = LoopPublisher(Other())
    for number in range(3):
        to_other.publish([GroupMessage("group", {"number": number})])
    to_other.close()
    assert [message["number"] for _, message in sent] == [0, 1, 2]
    assert threads == {threading.current_thread()}


def test_a_layer_that_hangs_is_given_up(monkeypatch):
    class Hanging:
        async def group_send(self, group, message):
            await asyncio.sleep(60)

    to_hanging = LoopPublisher(Hanging())
    with pytest.raises(TimeoutError):
        to_hanging.publish([GroupMessage("group", {})])
    to_hanging.close()


async def test_what_the_relay_publishes_is_received_through_the_configured_layer(
    transactional_db, monkeypatch
):
    monkeypatch.setattr(background, "server_loops", {asyncio.get_running_loop()})
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    to_layer = publisher_for(layer)
    received = asyncio.create_task(layer.receive(channel))
    while not received.done():
        # The layer returns from group_add before Redis has confirmed.
        await asyncio.to_thread(to_layer.publish, [GroupMessage("group", {"type": "hello", "text": "é"})])
        await asyncio.wait([received], timeout=0.1)
    assert received.result() == {"type": "hello", "text": "é"}
    to_layer.close()
    await layer.flush()
