"""Channel layers that use what the specification allows: they lose, duplicate and reorder messages."""

import asyncio
import random
from typing import Any

from channels.layers import InMemoryChannelLayer


def channel_layers_with(layer: type[InMemoryChannelLayer]) -> dict[str, Any]:
    """Return CHANNEL_LAYERS with one of these layers."""
    endless = {"capacity": 1_000_000, "expiry": 10**9, "group_expiry": 10**9}
    return {"default": {"BACKEND": f"{layer.__module__}.{layer.__name__}", "CONFIG": endless}}


class DroppingLayer(InMemoryChannelLayer):
    """Accepts everything and delivers nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropped = 0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.dropped += 1


class DuplicatingAndReorderingLayer(InMemoryChannelLayer):
    """Delivers everything twice, each copy after its own random delay."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.random = random.Random(1)
        self.delivered: list[Any] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        for _ in range(2):
            delay = self.random.uniform(0, 0.04)
            asyncio.get_running_loop().call_later(delay, self._deliver, group, message)

    def _deliver(self, group: str, message: dict[str, Any]) -> None:
        self.delivered.append(message.get("revision"))
        for channel in self.groups.get(group, {}):
            queue = self.channels.setdefault(channel, asyncio.Queue())
            queue.put_nowait((float("inf"), dict(message)))


class FailingLayer(InMemoryChannelLayer):
    """Refuses everything."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        raise ConnectionError("the layer is away")
