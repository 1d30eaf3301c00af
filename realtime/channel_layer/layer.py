"""The guarded Redis channel layer: Channels' API on Redis pub/sub, for connections that die, hang and go silent.

Its messages and names in Redis are those of the stock pub/sub layer (channels_redis.pubsub), so that servers with
either can be mixed. What is different: a join returns when Redis has confirmed it, a dead connection is noticed and
replaced within seconds, a callback reports when messages may have been lost, and nothing grows without bound.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

from channels.layers import BaseChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import _consistent_hash, _wrap_close, decode_hosts

from .subscriber import Subscriber

logger = logging.getLogger(__name__)

# What a channel holds for a slow receiver. Beyond that its messages are dropped, and reported as a gap.
MAX_MESSAGES = 100_000
MAX_BYTES = 32 * 1024 * 1024
# How long a channel stays without a receiver: a consumer that receives again misses nothing.
IDLE_SECONDS = 10.0

Message = dict[str, Any]
# For its checks of names.
_names = BaseChannelLayer()


class GuardedRedisLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # untyped
    """Takes `hosts`, `prefix`, `serializer_format` and `symmetric_encryption_keys` as the stock layer does.

    Each event loop has connections of its own. The properties are those of all loops together, and may be read from
    any thread.
    """

    _layers: "dict[asyncio.AbstractEventLoop, LoopLayer]"

    def _get_layer(self) -> "LoopLayer":
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            self._layers[loop] = LoopLayer(self, *self._args, **self._kwargs)
            _wrap_close(self, loop)
        return self._layers[loop]

    async def receive(self, channel: str) -> Any:
        return await self._get_layer().receive(channel)

    def on_gap(self, callback: Callable[[], None]) -> None:
        """Set what is called on the running loop whenever messages for it may have been lost."""
        self._get_layer().gap_callback = callback

    @property
    def _subscribers(self) -> list[Subscriber]:
        return [subscriber for layer in list(self._layers.values()) for subscriber in layer._shards]

    @property
    def started(self) -> bool:
        """Whether anything has been subscribed to. Before that nothing is known of Redis."""
        return any(subscriber.started for subscriber in self._subscribers)

    @property
    def healthy(self) -> bool:
        """Whether messages arrive, as far as is known."""
        return all(subscriber.healthy for subscriber in self._subscribers if subscriber.started)

    @property
    def disconnected(self) -> bool:
        """Whether it is known that messages don't arrive."""
        return any(subscriber.disconnected for subscriber in self._subscribers)

    @property
    def generation(self) -> int:
        """How often all subscriptions were made and confirmed: it rises after every outage."""
        return sum(subscriber.generation for subscriber in self._subscribers)

    @property
    def reconnects(self) -> int:
        return sum(subscriber.reconnects for subscriber in self._subscribers)

    @property
    def probe_seconds(self) -> float | None:
        """Round-trip time of the last probe, of several hosts the slowest's. None: none has come back yet."""
        known = [sub.probe_seconds for sub in self._subscribers if sub.probe_seconds is not None]
        return max(known, default=None)

    @property
    def dropped(self) -> int:
        """Messages dropped because a channel was full."""
        return sum(layer.dropped for layer in list(self._layers.values()))

    @property
    def malformed(self) -> int:
        """Messages that could not be decoded, and were ignored."""
        return sum(layer.malformed for layer in list(self._layers.values()))


class _Channel(asyncio.Queue[bytes]):
    """The queue of one channel's receiver, and the groups that the channel is in."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.receivers = 0
        self.groups: set[str] = set()

    def _put(self, item: bytes) -> None:
        super()._put(item)
        self.bytes += len(item)

    def _get(self) -> bytes:
        item = super()._get()
        self.bytes -= len(item)
        return item

    @property
    def is_full(self) -> bool:
        return self.qsize() >= MAX_MESSAGES or self.bytes >= MAX_BYTES

    def clear(self) -> int:
        """Drop what is queued. Returns the number of messages."""
        count = self.qsize()
        while not self.empty():
            self.get_nowait()
        return count


class LoopLayer:
    """The layer of one event loop. Methods as in Channels' specification of channel layers.

    What pub/sub doesn't have is missing as in the stock layer: a message has no expiry and reaches those who receive
    when it is sent, so two processes that receive from one channel both get it; `ChannelFull` is never raised.
    """

    extensions = ["groups", "flush"]

    def __init__(
        self,
        layer: GuardedRedisLayer,
        hosts: list[Any] | None = None,
        prefix: str = "asgi",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.dropped = 0
        self.malformed = 0
        self.gap_callback: Callable[[], None] = lambda: None
        # These three are named as in the stock layer, for code that looks into it.
        self.channel_layer = layer
        self.prefix = prefix
        self._shards = [
            Subscriber(host, prefix, self._deliver, self._report_gap) for host in decode_hosts(hosts)
        ]
        self._channels: dict[str, _Channel] = {}
        # By the group's name in Redis.
        self._groups: dict[str, set[_Channel]] = {}

    async def send(self, channel: str, message: Message) -> None:
        self._check_channel_name(channel)
        await self._subscriber(channel).publish(channel, self.channel_layer.serialize(message))

    async def new_channel(self, prefix: str = "specific.") -> str:
        name = f"{self.prefix}{prefix}{uuid.uuid4().hex}"
        self._channels[name] = _Channel()
        try:
            await self._subscribe(name)
        except asyncio.CancelledError:
            self._remove_channel(name)
            raise
        return name

    async def receive(self, channel: str) -> Any:
        """Return the next message. Of several that receive from a channel, one gets it."""
        is_new = channel not in self._channels
        if is_new:
            self._check_channel_name(channel)
            self._channels[channel] = _Channel()
        waiting = self._channels[channel]
        waiting.receivers += 1
        try:
            if is_new:
                await self._subscribe(channel)
            while True:
                data = await waiting.get()
                try:
                    return self.channel_layer.deserialize(data)
                except Exception as error:
                    # Others may publish in Redis, and other versions of this server write other formats.
                    self.malformed += 1
                    logger.debug("channel-layer message could not be decoded; ignored: %r", error)
        except asyncio.CancelledError:
            # The consumer has ended, or will receive again: no call says which.
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._remove_if_idle, channel, waiting)
            raise
        finally:
            waiting.receivers -= 1

    async def group_add(self, group: str, channel: str) -> None:
        """Return when Redis has confirmed it. TimeoutError after a second: the channel will be in the group later."""
        if channel not in self._channels:
            raise RuntimeError(f"{channel} isn't a channel of this process: only those can be in a group")
        _names.require_valid_group_name(group)
        name = self._group(group)
        self._groups.setdefault(name, set()).add(self._channels[channel])
        self._channels[channel].groups.add(name)
        await self._subscriber(name).subscribe(name)

    async def group_discard(self, group: str, channel: str) -> None:
        if channel in self._channels:
            self._leave_group(self._group(group), self._channels[channel])

    async def group_send(self, group: str, message: Message) -> None:
        _names.require_valid_group_name(group)
        name = self._group(group)
        await self._subscriber(name).publish(name, self.channel_layer.serialize(message))

    async def flush(self) -> None:
        """Close every connection, and forget every channel and group."""
        self._channels.clear()
        self._groups.clear()
        for subscriber in self._shards:
            await subscriber.close()

    def _group(self, group: str) -> str:
        return f"{self.prefix}__group__{group}"

    def _subscriber(self, name: str) -> Subscriber:
        # As the stock layer and outbound/publishers.py share channels out.
        shard: int = _consistent_hash(name, len(self._shards))
        return self._shards[shard]

    def _check_channel_name(self, name: str) -> None:
        # The prefix of our own channels is the operator's choice.
        is_ours = str(name).startswith(self.prefix)
        _names.require_valid_channel_name(name[len(self.prefix) :] if is_ours else name)

    async def _subscribe(self, name: str) -> None:
        try:
            await self._subscriber(name).subscribe(name)
        except TimeoutError:
            logger.debug("channel %s is subscribed to when Redis is available", name)

    def _remove_if_idle(self, name: str, channel: _Channel) -> None:
        if self._channels.get(name) is channel and not channel.receivers:
            self._remove_channel(name)

    def _remove_channel(self, name: str) -> None:
        channel = self._channels.pop(name, None)
        if channel is not None:
            for group in list(channel.groups):
                self._leave_group(group, channel)
            self._subscriber(name).unsubscribe(name)

    def _leave_group(self, group: str, channel: _Channel) -> None:
        channel.groups.discard(group)
        members = self._groups.get(group, set())
        members.discard(channel)
        if group in self._groups and not members:
            del self._groups[group]
            self._subscriber(group).unsubscribe(group)

    def _deliver(self, name: str, data: bytes) -> None:
        channel = self._channels.get(name)
        for waiting in (channel,) if channel is not None else self._groups.get(name, ()):
            if waiting.is_full:
                # A catch-up from the database costs less than handling all these, and delivers the same.
                dropped = waiting.clear()
                self.dropped += dropped
                logger.warning(
                    "a channel was full: %d messages dropped from %s; notifications are caught up with",
                    dropped,
                    name,
                )
                self._report_gap()
            waiting.put_nowait(data)

    def _report_gap(self) -> None:
        self.gap_callback()
