"""What real time needs of the project's settings: mistakes that would show only under load, or in an outage."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's name for it
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models.functions import Now

from .conf import conf

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
# The core layer waits so long for a message in Redis, and takes its own silence for a failure.
CORE_WAITS = 5
DEFAULT_PREFIX = "doorbell"
DEVELOPMENT_KEY = "insecure-development-key"

# Of modules that a check must not import: writer.SERVER_CLOSED_GRACE_SECONDS and the promises of docs/protocol.md.
SERVER_CLOSED_GRACE = 20
LONGEST_LEASE = 18
SHORTEST_LEASE = 3
LONGEST_RECHECK = 30
PROXIES_CUT = 60


def _layer() -> tuple[str, dict[str, Any]]:
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {})
    return layer.get("BACKEND", ""), layer.get("CONFIG", {})


@register()
def channel_layer(**kwargs: Any) -> list[CheckMessage]:
    """Does the layer reach every process, and lose nothing without need?"""
    backend, config = _layer()
    if not backend:
        return [
            Error(
                "There is no default channel layer.",
                hint="Set CHANNEL_LAYERS as config/settings.py does.",
                id="realtime.E001",
            )
        ]
    found: list[CheckMessage] = []
    if backend == IN_MEMORY and not settings.DEBUG:
        found.append(
            Warning(
                "The channel layer is in memory: it ends at the process.",
                hint="Right for one server process only. For several, set REDIS_URL.",
                id="realtime.W001",
            )
        )
    if backend == CORE:
        found.append(
            Warning(
                "The core Redis layer drops messages of a burst, and a restart of Redis ends every consumer.",
                hint="Use the pub/sub layer, as config/settings.py does.",
                id="realtime.W002",
            )
        )
    return found + _socket_timeouts(backend, config)


def _socket_timeouts(backend: str, config: dict[str, Any]) -> list[CheckMessage]:
    hosts = [host for host in config.get("hosts", []) if isinstance(host, dict)]
    timeouts = [host.get("socket_timeout") for host in hosts] or [None]
    if backend == CORE and any(timeout is None or timeout <= CORE_WAITS for timeout in timeouts):
        return [
            Error(
                f"The core Redis layer needs a socket_timeout of more than {CORE_WAITS} s.",
                hint="With redis-py's default every socket ends after five quiet seconds. Give 30.",
                id="realtime.E002",
            )
        ]
    if backend not in (CORE, IN_MEMORY) and any(
        timeout is not None and timeout >= conf.lease_seconds for timeout in timeouts
    ):
        return [
            Warning(
                "The Redis layer's socket_timeout isn't shorter than REALTIME_LEASE_SECONDS.",
                hint="A hung Redis would be noticed after all are offline. Give 1.",
                id="realtime.W003",
            )
        ]
    return []


@register(Tags.database)
def several_processes(**kwargs: Any) -> list[CheckMessage]:
    """With a layer that ends at the process, do several serve? Asked by `manage.py check --database default`."""
    from .models import ServerProcess

    if not kwargs.get("databases") or _layer()[0] != IN_MEMORY:
        return []
    if ServerProcess._meta.db_table not in connection.introspection.table_names():
        # The first migration asks, too.
        return []
    alive = ServerProcess.objects.filter(lease_until__gt=Now()).count()
    if alive < 2:
        return []
    return [
        Warning(
            f"{alive} server processes are alive, and each has a channel layer of its own.",
            hint="Set REDIS_URL: what one process pushes, the others' sockets get by the sweep only.",
            id="realtime.W011",
        )
    ]


@register()
def prefix(**kwargs: Any) -> list[CheckMessage]:
    """Two Doorbells that share a Redis and a prefix hear each other's users."""
    backend, config = _layer()
    if settings.DEBUG or backend in ("", IN_MEMORY) or config.get("prefix") != DEFAULT_PREFIX:
        return []
    return [
        Warning(
            "The channel layer has the default prefix.",
            hint="Set REALTIME_PREFIX to a name of this installation's own: others on the same Redis would hear it.",
            id="realtime.W004",
        )
    ]


@register(Tags.security)
def allowed_hosts(**kwargs: Any) -> list[CheckMessage]:
    """A socket with a cookie needs the server's own Origin, and which that is says the Host header."""
    if settings.DEBUG or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS allows every host, so every host's pages may be taken for the server's own.",
            hint="Name the hosts under which the server is reached.",
            id="realtime.W005",
        )
    ]


@register(Tags.security)
def secret_key(**kwargs: Any) -> list[CheckMessage]:
    """Whoever knows the key can sign in as anybody."""
    try:
        known = settings.SECRET_KEY.startswith(DEVELOPMENT_KEY)
    except ImproperlyConfigured:
        known = True
    if settings.DEBUG or not known:
        return []
    return [
        Error(
            "SECRET_KEY is missing, or the one that everybody knows.",
            hint='Make one: python3 -c "import secrets; print(secrets.token_urlsafe(50))"',
            id="realtime.E003",
        )
    ]


@register()
def numbers(**kwargs: Any) -> list[CheckMessage]:
    """Are the numbers possible at all?"""
    least = {
        "SWEEP_SECONDS": (conf.sweep_seconds, 0.01),
        "HEARTBEAT_SECONDS": (conf.heartbeat_seconds, 1),
        "PING_SECONDS": (conf.ping_seconds, 0.01),
        "RECHECK_SECONDS": (conf.recheck_seconds, 0.01),
        "LEASE_SECONDS": (conf.lease_seconds, 0.01),
        "OFFLINE_GRACE_SECONDS": (conf.offline_grace_seconds, 0),
        "MAX_CONNECTIONS_PER_USER": (conf.max_connections_per_user, 1),
    }
    return [
        Error(
            f"REALTIME_{name} is {value:g}.",
            hint=f"It must be {'0 or more' if smallest == 0 else 'at least 1'}.",
            id="realtime.E004",
        )
        for name, (value, smallest) in least.items()
        if value < smallest
    ]


@register()
def timeouts(**kwargs: Any) -> list[CheckMessage]:
    """Do the times fit each other, and what docs/protocol.md promises?"""
    contradictions = [
        (
            conf.lease_seconds < SHORTEST_LEASE,
            f"REALTIME_LEASE_SECONDS is under {SHORTEST_LEASE}: one slow renewal would expire a live process.",
            "Give 15. A lease is renewed three times in its length.",
            "realtime.W006",
        ),
        (
            conf.lease_seconds > LONGEST_LEASE,
            f"REALTIME_LEASE_SECONDS is over {LONGEST_LEASE}: a dead process's users stay online for over 30 s.",
            "Give 15. Reaper and grace take another 12 s.",
            "realtime.W007",
        ),
        (
            conf.offline_grace_seconds > SERVER_CLOSED_GRACE,
            "REALTIME_OFFLINE_GRACE_SECONDS is longer than the grace after the server has closed a socket.",
            f"Give 5, and {SERVER_CLOSED_GRACE} at most.",
            "realtime.W008",
        ),
        (
            conf.heartbeat_seconds >= PROXIES_CUT,
            f"REALTIME_HEARTBEAT_SECONDS is {PROXIES_CUT} or more: many proxies cut what is silent for so long.",
            "Give 25.",
            "realtime.W009",
        ),
        (
            conf.recheck_seconds > LONGEST_RECHECK,
            f"REALTIME_RECHECK_SECONDS is over {LONGEST_RECHECK}: sockets outlive their login by more than 35 s.",
            f"Give {LONGEST_RECHECK}.",
            "realtime.W010",
        ),
    ]
    return [Warning(text, hint=hint, id=name) for wrong, text, hint, name in contradictions if wrong]
