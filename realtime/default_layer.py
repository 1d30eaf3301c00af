"""The channel layer that Doorbell uses: the project's default one, or one in memory where the project names none.

A layer in memory reaches its own process only: enough for `runserver`. The checks name it outside of DEBUG.
"""

from functools import cache
from typing import Any

from channels import layers
from django.conf import settings

# A message that expires would remove its channel from its groups: none may.
IN_MEMORY: dict[str, Any] = {"capacity": 1_000_000, "expiry": 10**9, "group_expiry": 10**9}


def get_channel_layer() -> Any:
    """Return the layer. None: CHANNEL_LAYERS is set, and has no `default`."""
    return layers.get_channel_layer() if getattr(settings, "CHANNEL_LAYERS", None) else _in_memory()


@cache
def _in_memory() -> layers.InMemoryChannelLayer:
    return layers.InMemoryChannelLayer(**IN_MEMORY)
