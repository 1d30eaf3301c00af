"""The hosts of the channel layer, if it is one on Redis pub/sub. Redis' client is optional, and imported at its use."""

from typing import Any


def clients(layer: Any) -> list[Any]:
    """Return a synchronous client for each host, which waits a second at most; none for any other layer."""
    if (options := getattr(layer, "_kwargs", None)) is None:
        return []
    from channels_redis.utils import decode_hosts

    from .redis_client import redis_client

    return [redis_client(host) for host in decode_hosts(options.get("hosts"))]


def prefix(layer: Any) -> str:
    """Return what the layer's names in Redis begin with."""
    return str(getattr(layer, "_kwargs", {}).get("prefix", "asgi"))
