import asyncio
import errno
import itertools
import logging

import pytest

from realtime.channel_layer import subscriber as subscriber_module
from realtime.channel_layer.subscriber import Subscriber
from realtime.tests.client import eventually

# Nothing listens there.
NOWHERE = {"address": "redis://127.0.0.1:1"}


class Writer:
    """Records what is written, and answers SUBSCRIBE as Redis does."""

    deaf = False

    def __init__(self, connection):
        self.connection = connection
        self.written = b""
        self.aborted = False
        self.transport = self

    def write(self, data):
        self.written += data
        if self.deaf:
            return
        for command in data.split(b"*2\r\n")[1:]:
            _, kind, _, name, _ = command.split(b"\r\n")
            self.connection.said.put_nowait(
                b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n" % (len(kind), kind.lower(), len(name), name)
            )

    def abort(self):
        self.aborted = True


class Connection:
    """A connection of redis-py's, as far as the subscriber uses it. `read` does what the network does."""

    def __init__(self, read):
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.reads = 0
        self.made_at = 0.0
        self.disconnected = False
        self._reader = self
        self._writer = Writer(self)
        self._how = read

    async def connect(self):
        pass

    async def read(self, size):
        self.reads += 1
        return await (self.said.get() if self._how is say_nothing else self._how())

    async def disconnect(self, nowait):
        assert nowait
        self.disconnected = True


async def lose(name, data):
    """A probe that is lost."""


async def time_out():
    raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")


async def end_at_once():
    return b""


async def refuse():
    return b"-NOPERM this user has no permissions to access one of the channels\r\n"


async def babble():
    return b":1\r\n"


async def garble():
    return b"?\r\n"


async def say_nothing():
    """The subscriptions are confirmed, and then nothing is received, not even an error."""


@pytest.fixture
def made():
    return []


@pytest.fixture
async def subscribed(made, monkeypatch):
    """Start a subscriber whose connections behave like this."""
    monkeypatch.setattr(subscriber_module, "PROBE_SECONDS", 0.02)
    running = []

    def begin(read, gap=lambda: None):
        subscriber = Subscriber(NOWHERE, "test", lambda name, data: None, gap)

        def make():
            made.append(Connection(read))
            made[-1].made_at = asyncio.get_running_loop().time()
            return made[-1]

        subscriber._pool.make_connection = make
        monkeypatch.setattr(subscriber._redis, "publish", lose)
        running.append((subscriber, asyncio.create_task(subscriber.subscribe("group"))))
        return subscriber

    yield begin
    for subscriber, subscribing in running:
        await subscriber.close()
        subscribing.cancel()
        await asyncio.gather(subscribing, return_exceptions=True)


async def ticks(count):
    """Check that the loop runs at least this many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("read", [time_out, end_at_once, refuse, garble])
async def test_a_connection_that_fails_at_once_is_replaced_without_spinning(subscribed, made, read):
    subscriber = subscribed(read)
    await eventually(lambda: len(made) >= 4)
    for connection, following in itertools.pairwise(made[:4]):
        # (A sleep ends late, never early; but for the clock's own grain.)
        assert following.made_at - connection.made_at > subscriber_module.MIN_BACKOFF_SECONDS * 0.9
        assert connection.reads == 1
        assert connection._writer.aborted
        assert connection.disconnected
    assert subscriber.disconnected


async def test_a_read_that_always_returns_at_once_does_not_block_the_loop(subscribed, made):
    subscribed(babble)
    await eventually(lambda: made and made[0].reads > 100)
    reads = made[0].reads
    await ticks(100)
    assert made[0].reads - reads < 1000
    assert len(made) == 1


async def test_a_connection_that_falls_silent_is_replaced_and_the_gap_is_reported(subscribed, made, caplog):
    gaps = []

    def gap():
        gaps.append(subscriber.generation)

    subscriber: Subscriber = subscribed(say_nothing, gap)
    await eventually(lambda: len(made) >= 4)
    await eventually(lambda: len(gaps) >= 2)
    assert made[0]._writer.aborted
    # Every new connection had confirmed all subscriptions before the gap was reported.
    assert gaps[:2] == [2, 3]
    assert made[1]._writer.written.count(b"SUBSCRIBE") == 2
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings[0].startswith("Redis connection lost")
    assert warnings[1].startswith("Redis connection recovered")
    assert not [record for record in caplog.records if record.exc_info]


async def test_one_outage_makes_one_line_in_the_log_however_long_it_is(subscribed, made, caplog):
    subscribed(refuse)
    await eventually(lambda: len(made) >= 5)
    [line] = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "NOPERM" in line


async def test_a_long_outage_is_said_again(subscribed, made, caplog, monkeypatch):
    monkeypatch.setattr(subscriber_module, "STILL_SECONDS", 0.0)
    subscribed(refuse)
    await eventually(lambda: len(made) >= 3)
    first, second, *_ = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert first.startswith("Redis connection lost; ")
    assert second.startswith("Redis connection still lost after 0 min: ")


async def test_only_the_last_reply_about_a_name_counts(subscribed, made, monkeypatch):
    monkeypatch.setattr(subscriber_module, "PROBE_SECONDS", 60)
    monkeypatch.setattr(subscriber_module, "CONFIRM_SECONDS", 60)
    subscriber = subscribed(say_nothing)
    await eventually(lambda: subscriber.healthy)
    # The replies come later.
    made[0]._writer.deaf = True
    first = asyncio.create_task(subscriber.subscribe("other"))
    await ticks(5)
    subscriber.unsubscribe("other")
    joining = asyncio.create_task(subscriber.subscribe("other"))
    await ticks(5)
    # It has been unsubscribed: there is nothing to wait for.
    await first
    subscriber._handle_confirmation("other", subscribed=True)
    subscriber._handle_confirmation("other", subscribed=False)
    await ticks(5)
    assert not joining.done()
    subscriber._handle_confirmation("other", subscribed=True)
    await joining


async def test_an_unconfirmed_subscription_raises_and_is_requested_on_the_next_connection(
    monkeypatch, subscribed, made
):
    monkeypatch.setattr(subscriber_module, "CONFIRM_SECONDS", 0.01)
    subscriber = subscribed(say_nothing)
    await eventually(lambda: subscriber.healthy)
    monkeypatch.setattr(Writer, "deaf", True)
    with pytest.raises(TimeoutError):
        await subscriber.subscribe("later")
    monkeypatch.setattr(Writer, "deaf", False)
    await eventually(lambda: "later" in subscriber._confirmed)
    await subscriber.subscribe("later")


def test_the_backoff_grows_with_jitter_between_a_tenth_and_two_seconds():
    pauses = [list(zip(range(8), subscriber_module._backoff(), strict=False)) for _ in range(200)]
    lengths = [pause for each in pauses for _, pause in each]
    assert min(lengths) >= 0.1
    assert max(lengths) <= 2.0
    assert len(set(lengths)) == len(lengths)
    first, last = ([each[number][1] for each in pauses] for number in (0, 7))
    assert max(first) <= 0.2
    assert max(last) > 1.5


class SlowRedis:
    """Takes one message after the other on each connection, `seconds` each."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.published = []

    async def publish(self, name, data):
        await asyncio.sleep(self.seconds)
        self.published.append(data)


async def test_a_burst_that_takes_longer_than_the_timeout_is_published_whole(monkeypatch):
    subscriber = Subscriber(NOWHERE, "doorbell", lambda name, data: None, lambda: None)
    redis = SlowRedis(0.05)
    monkeypatch.setattr(subscriber, "_redis", redis)
    sent = [b"%d" % number for number in range(200)]
    await asyncio.gather(*(subscriber.publish("thumbnails", data) for data in sent))
    assert sorted(redis.published) == sorted(sent)


async def test_all_who_wait_behind_a_redis_that_hangs_fail_with_the_first(monkeypatch):
    monkeypatch.setattr(subscriber_module, "PUBLISH_SECONDS", 0.1)
    subscriber = Subscriber(NOWHERE, "doorbell", lambda name, data: None, lambda: None)
    monkeypatch.setattr(subscriber, "_redis", SlowRedis(3600))
    sending = [subscriber.publish("thumbnails", b"") for _ in range(200)]
    # One after the other they would take 2.5 seconds.
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*sending, return_exceptions=True)
    assert all(isinstance(answer, TimeoutError) for answer in answers)
    monkeypatch.setattr(subscriber, "_redis", SlowRedis(0))
    await subscriber.publish("thumbnails", b"")
