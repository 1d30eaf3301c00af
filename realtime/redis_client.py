"""A synchronous client for a host of the channel layer, used from plain threads. Needs the extra `redis`."""

import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_client(host: Mapping[str, Any]) -> "redis.Redis":
    """Return a client for one of the layer's hosts, which waits a second at most and never tries again."""
    options = {"socket_timeout": 1, "socket_connect_timeout": 1, **host, "retry": Retry(NoBackoff(), 0)}
    if (master := options.pop("master_name", None)) is not None:
        sentinel: Any = redis.Sentinel
        sentinels = sentinel(options.pop("sentinels"), sentinel_kwargs=options.pop("sentinel_kwargs", None))
        of_master: redis.Redis = sentinels.master_for(master, **options)
        return of_master
    if "address" not in options:
        return redis.Redis(**options)
    url = urlsplit(options.pop("address"))
    if url.hostname and url.scheme == "redis":
        # Resolved here: at interpreter exit, when a one-line command still has to push, nothing resolves any more.
        address = socket.getaddrinfo(url.hostname, url.port or 6379, type=socket.SOCK_STREAM)[0][4][0]
        literal = f"[{address}]" if ":" in str(address) else str(address)
        credentials, at, _ = url.netloc.rpartition("@")
        url = url._replace(netloc=f"{credentials}{at}{literal}:{url.port or 6379}")
    return redis.Redis.from_url(urlunsplit(url), **options)
