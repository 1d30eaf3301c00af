"""The channel layer on Redis that a project's CHANNEL_LAYERS names: `realtime.channel_layer.GuardedRedisLayer`."""

from .layer import GuardedRedisLayer

__all__ = ["GuardedRedisLayer"]
