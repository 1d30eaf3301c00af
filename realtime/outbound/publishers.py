"""Publishing to the channel layer from a plain thread: one publisher for each kind of layer.

`group_send` by async_to_sync would make an event loop and a Redis connection for every call.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from channels.layers import InMemoryChannelLayer

from realtime import background
from realtime.background import spawn

from .envelopes import GroupMessage


class Unsent(Exception):
    """The layer is away for these messages. Its text holds none of them: it is logged."""

    def __init__(self, messages: Sequence[GroupMessage], reason: Exception | None = None) -> None:
        super().__init__(f"{len(messages)} messages unsent, {reason!r}")
        self.messages = messages


class Publisher(Protocol):
    def publish(self, messages: Sequence[GroupMessage]) -> None:
        """Publish messages in order, within about a second a host.

        Raises Unsent with those that may be sent later, or what else the layer raises.
        """

    def close(self) -> None: ...


class LocalPublisher:
    """For a layer within this process: the messages are handed to the server's loop, if there is one."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def publish(self, messages: Sequence[GroupMessage]) -> None:
        for loop in list(background.server_loops):
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._publish_here, list(messages))

    def _publish_here(self, messages: list[GroupMessage]) -> None:
        spawn(_group_send_all(self.layer, messages))

    def close(self) -> None: ...


class LoopPublisher:
    """For any other layer: its own asynchronous group_send, on one event loop that lives as long as the thread."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.loop = asyncio.new_event_loop()

    def publish(self, messages: Sequence[GroupMessage]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(_group_send_all(self.layer, messages), 1))

    def close(self) -> None:
        self.loop.close()


def publisher_for(layer: Any) -> Publisher:
    """Return the publisher that fits a layer."""
    if isinstance(layer, InMemoryChannelLayer):
        return LocalPublisher(layer)
    # Imported if there is such a layer; Redis' client is optional.
    pubsub = sys.modules.get("channels_redis.pubsub")
    if pubsub is not None and isinstance(layer, pubsub.RedisPubSubChannelLayer):
        from .redis_publisher import RedisPublisher

        return RedisPublisher(layer)
    return LoopPublisher(layer)


async def _group_send_all(layer: Any, messages: Sequence[GroupMessage]) -> None:
    for group, message in messages:
        await layer.group_send(group, message)
