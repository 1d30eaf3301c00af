"""The channel layer on Redis that a project's CHANNEL_LAYERS names: `realtime.channel_layer.GuardedRedisLayer`.

It is imported at its first use: with any other layer Redis' client needn't be installed.
"""

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from messaging import extras

if TYPE_CHECKING:
    from .layer import GuardedRedisLayer

__all__ = ["GuardedRedisLayer", "guarded", "import_configured"]


def __getattr__(name: str) -> Any:
    if name != "GuardedRedisLayer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if error := extras.missing("redis", f"{__name__}.GuardedRedisLayer"):
        raise ImproperlyConfigured(error)
    from .layer import GuardedRedisLayer

    return GuardedRedisLayer


def guarded(layer: object) -> "GuardedRedisLayer | None":
    """Return the layer if it is a guarded one. Before one is made its module isn't imported."""
    module = sys.modules.get(f"{__name__}.layer")
    return layer if module is not None and isinstance(layer, module.GuardedRedisLayer) else None


def import_configured() -> None:
    """Import the settings' layer, as the process starts: a thread that pushes at interpreter exit imports nothing.

    A layer that can't be imported is for the system checks to report.
    """
    backend = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {}).get("BACKEND", "")
    if backend.startswith(extras.REDIS_LAYERS):
        with contextlib.suppress(ImportError, ImproperlyConfigured):
            import_string(backend)
