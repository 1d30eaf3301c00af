"""System checks: mistakes in a project's settings that would show only under load or in an outage."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's name for it
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models.functions import Now

from messaging import extras
from messaging.hints import paste, project
from messaging.setting_checks import unknown_names, wrong_values

from .conf import Conf, conf

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
# The core layer blocks for so long on a read from Redis; a shorter socket_timeout fails whenever no message comes.
CORE_BLOCKING_SECONDS = 5
DEFAULT_PREFIX = "doorbell"
DEVELOPMENT_KEY = "insecure-development-key"

# Copies, for checks must not import those modules: writer.SERVER_CLOSED_GRACE_SECONDS and docs/protocol.md's promises.
SERVER_CLOSED_GRACE_SECONDS = 20
MAX_LEASE_SECONDS = 18
MIN_LEASE_SECONDS = 3
MAX_RECHECK_SECONDS = 30
PROXY_IDLE_SECONDS = 60


def _layer() -> tuple[str, dict[str, Any]]:
    # As default_layer.py, which the checks must not import either.
    layers = getattr(settings, "CHANNEL_LAYERS", None) or {"default": {"BACKEND": IN_MEMORY}}
    layer = layers.get("default", {})
    return layer.get("BACKEND", ""), layer.get("CONFIG", {})


def _redis_layer(sentence: str) -> str:
    """Return the hint that ends with Doorbell's layer on Redis."""
    others = (
        "**CHANNEL_LAYERS, " if set(getattr(settings, "CHANNEL_LAYERS", None) or {}) - {"default"} else ""
    )
    lines = f"""
CHANNEL_LAYERS = {{
    {others}"default": {{
        "BACKEND": "realtime.channel_layer.GuardedRedisLayer",
        "CONFIG": {{
            "hosts": [{{"address": "redis://localhost", "socket_timeout": 1, "socket_connect_timeout": 1}}],
            "prefix": "{project()}",
        }},
    }}
}}"""
    return paste(f"{sentence} First: pip install django-doorbell[redis].", lines)


@register()
def channel_layer(**kwargs: Any) -> list[CheckMessage]:
    """The default channel layer exists, reaches every process, and loses no messages without need."""
    backend, config = _layer()
    if not backend:
        return [
            Error(
                "There is no default channel layer.",
                hint=_redis_layer("Doorbell needs one."),
                id="realtime.E001",
            )
        ]
    if backend.startswith(extras.REDIS_LAYERS) and (error := extras.missing("redis", backend)):
        hint = f"A single server process needs none of it: {IN_MEMORY}."
        return [Error(error, hint=hint, id="realtime.E005")]
    found: list[CheckMessage] = []
    if backend == IN_MEMORY and not settings.DEBUG:
        found.append(
            Warning(
                "The channel layer is in memory, so it doesn't reach other processes.",
                hint=_redis_layer("That is right for a single server process. Several need Redis."),
                id="realtime.W001",
            )
        )
    if backend == CORE:
        found.append(
            Warning(
                "The core Redis layer drops messages of a burst, and a restart of Redis ends every consumer.",
                hint=_redis_layer("Doorbell has a layer that does neither."),
                id="realtime.W002",
            )
        )
    return found + _socket_timeouts(backend, config)


def _socket_timeouts(backend: str, config: dict[str, Any]) -> list[CheckMessage]:
    hosts = [host for host in config.get("hosts", []) if isinstance(host, dict)]
    timeouts = [host.get("socket_timeout") for host in hosts] or [None]
    if backend == CORE and any(timeout is None or timeout <= CORE_BLOCKING_SECONDS for timeout in timeouts):
        return [
            Error(
                f"The core Redis layer needs a socket_timeout of more than {CORE_BLOCKING_SECONDS} s.",
                hint=_redis_layer(
                    "With redis-py's default every socket is closed after five seconds without messages. Set 30 in "
                    "each of its `hosts`, or use Doorbell's layer."
                ),
                id="realtime.E002",
            )
        ]
    if backend in (CORE, IN_MEMORY) or Conf.invalid():
        return []
    if any(timeout is not None and timeout >= conf.lease_seconds for timeout in timeouts):
        return [
            Warning(
                "The Redis layer's socket_timeout isn't shorter than REALTIME_LEASE_SECONDS.",
                hint=paste(
                    "A Redis that hangs would be noticed only after all users are offline.",
                    'for host in CHANNEL_LAYERS["default"]["CONFIG"]["hosts"]:\n    host["socket_timeout"] = 1',
                ),
                id="realtime.W003",
            )
        ]
    return []


@register(Tags.database)
def several_processes(**kwargs: Any) -> list[CheckMessage]:
    """No two processes serve with a layer in memory. Runs with `manage.py check --database default`."""
    from .models import ServerProcess

    if not kwargs.get("databases") or _layer()[0] != IN_MEMORY:
        return []
    if ServerProcess._meta.db_table not in connection.introspection.table_names():
        # Before the first migration.
        return []
    alive = ServerProcess.objects.filter(lease_until__gt=Now()).count()
    if alive < 2:
        return []
    return [
        Warning(
            f"{alive} server processes are alive, and each has a channel layer of its own.",
            hint=_redis_layer("What one process pushes reaches the others' sockets by the sweep only."),
            id="realtime.W011",
        )
    ]


@register()
def prefix(**kwargs: Any) -> list[CheckMessage]:
    """Installations that share a Redis have different prefixes, or they receive each other's messages."""
    backend, config = _layer()
    if settings.DEBUG or backend in ("", IN_MEMORY) or config.get("prefix") != DEFAULT_PREFIX:
        return []
    return [
        Warning(
            "The channel layer has the default prefix.",
            hint=paste(
                "Others on the same Redis would receive its messages. In Doorbell's own project set REALTIME_PREFIX.",
                f'CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = "{project()}"',
            ),
            id="realtime.W004",
        )
    ]


@register(Tags.security)
def allowed_hosts(**kwargs: Any) -> list[CheckMessage]:
    """The Host header, with which a socket's Origin is compared, is limited to known names."""
    if settings.DEBUG or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS allows every host, so pages of any host may count as the server's own.",
            hint=paste(
                "Name the hosts under which the server is reached.", 'ALLOWED_HOSTS = ["example.com"]'
            ),
            id="realtime.W005",
        )
    ]


@register(Tags.security, deploy=True)
def trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    """Addresses of clients come from proxies that are named. uvicorn takes the first of X-Forwarded-For for `*`."""
    if "*" not in os.environ.get("FORWARDED_ALLOW_IPS", ""):
        return []
    return [
        Warning(
            "FORWARDED_ALLOW_IPS is *: behind a proxy that appends to X-Forwarded-For each client chooses its address, "
            "so passwords can be guessed without limit.",
            hint="Name the addresses or networks of your proxies (docs/operations.md, Behind a proxy), such as: "
            "FORWARDED_ALLOW_IPS=127.0.0.1",
            id="realtime.W012",
        )
    ]


@register(Tags.security)
def secret_key(**kwargs: Any) -> list[CheckMessage]:
    """SECRET_KEY is secret: with it anyone can sign in as any user."""
    try:
        known = settings.SECRET_KEY.startswith(DEVELOPMENT_KEY)
    except ImproperlyConfigured:
        known = True
    if settings.DEBUG or not known:
        return []
    return [
        Error(
            "SECRET_KEY is missing, or the public development key.",
            hint='Make one: python3 -c "import secrets; print(secrets.token_urlsafe(50))"',
            id="realtime.E003",
        )
    ]


@register()
def values(**kwargs: Any) -> list[CheckMessage]:
    """The settings REALTIME_* have the right types and are within their bounds."""
    return wrong_values(Conf, "realtime.E004")


@register()
def names(**kwargs: Any) -> list[CheckMessage]:
    """No setting REALTIME_* is misspelt. (config/settings.py brings those of the environment here.)"""
    return unknown_names(Conf, "realtime.W013")


@register()
def timeouts(**kwargs: Any) -> list[CheckMessage]:
    """The times fit each other, and what docs/protocol.md promises."""
    if Conf.invalid():
        return []
    contradictions = [
        (
            conf.lease_seconds < MIN_LEASE_SECONDS,
            f"REALTIME_LEASE_SECONDS is under {MIN_LEASE_SECONDS}: one slow renewal would expire a live process.",
            paste("A lease is renewed three times in that time.", "REALTIME_LEASE_SECONDS = 15"),
            "realtime.W006",
        ),
        (
            conf.lease_seconds > MAX_LEASE_SECONDS,
            f"REALTIME_LEASE_SECONDS is over {MAX_LEASE_SECONDS}: a dead process's users stay online for over 30 s.",
            paste("The reaper and the grace period take another 12 s.", "REALTIME_LEASE_SECONDS = 15"),
            "realtime.W007",
        ),
        (
            conf.offline_grace_seconds > SERVER_CLOSED_GRACE_SECONDS,
            "REALTIME_OFFLINE_GRACE_SECONDS is longer than the grace after the server has closed a socket.",
            paste(f"{SERVER_CLOSED_GRACE_SECONDS} at most.", "REALTIME_OFFLINE_GRACE_SECONDS = 5"),
            "realtime.W008",
        ),
        (
            conf.heartbeat_seconds >= PROXY_IDLE_SECONDS,
            f"REALTIME_HEARTBEAT_SECONDS is {PROXY_IDLE_SECONDS} or more: many proxies close idle sockets by then.",
            paste("The default is right for most.", "REALTIME_HEARTBEAT_SECONDS = 25"),
            "realtime.W009",
        ),
        (
            conf.recheck_seconds > MAX_RECHECK_SECONDS,
            f"REALTIME_RECHECK_SECONDS is over {MAX_RECHECK_SECONDS}: sockets outlive their login by over 35 s.",
            paste(f"{MAX_RECHECK_SECONDS} at most.", "REALTIME_RECHECK_SECONDS = 30"),
            "realtime.W010",
        ),
    ]
    return [Warning(text, hint=hint, id=name) for wrong, text, hint, name in contradictions if wrong]
