"""What `serve` finds when it starts: one line with its stores and limits, and an error for each store that is wrong.

Addresses are named, passwords never.
"""

import asyncio
import logging
import os
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connections

from realtime.conf import conf
from realtime.database import database, own_connection
from realtime.default_layer import get_channel_layer
from realtime.models import ServerProcess
from realtime.questions import Question
from realtime.version import version

logger = logging.getLogger(__name__)

SECONDS = 5.0
# Of a process, beside its pool: for what asks whether the database answers, and for a moment another.
OWN_CONNECTIONS = 2
COUNTS = f"""
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        (SELECT count(*) FROM {ServerProcess._meta.db_table} WHERE lease_until > now())
    """  # noqa: S608


async def report() -> None:
    """Log it. Takes as long as the stores take to answer, five seconds at most each."""
    parts = await asyncio.gather(_database(), _layer())
    line = f"Doorbell {version()}, process {os.getpid()}: {'; '.join(parts)}; {_limits()}"
    if logger.isEnabledFor(logging.INFO) and logger.hasHandlers():
        logger.info("%s", line)
    else:
        sys.stdout.write(f"{line}\n")


async def _database() -> str:
    wrapper: Any = connections["default"]
    where = _database_address(wrapper)
    silent: tuple[int, ...] | str = "no answer"
    found = await Question(_connect, silent).answer(SECONDS)
    if isinstance(found, str):
        logger.error(
            "%s at %s unavailable; /readyz answers 503 until it answers: %s",
            wrapper.display_name,
            where,
            found,
        )
        return f"{wrapper.display_name} at {where} unavailable"
    missing = await database.missing_migrations()
    if missing:
        logger.error(
            "database not migrated, it lacks %s%s; /readyz answers 503 until `manage.py migrate` has run",
            ", ".join(missing[:3]),
            f" and {len(missing) - 3} more" if len(missing) > 3 else "",
        )
    if missing == [] and wrapper.vendor == "postgresql":
        await _compare_connections()
    state = "migrated" if missing == [] else "not migrated"
    return f"{wrapper.display_name} {'.'.join(map(str, found))} at {where}, {state}"


def _connect() -> tuple[int, ...] | str:
    """Return the server's version, or why there is none."""
    own = own_connection()
    try:
        own.ensure_connection()
        found: tuple[int, ...] = own.get_database_version()
    except Exception as error:
        return " ".join(str(error).split()) or repr(error)
    finally:
        own.close()
    return found


async def _compare_connections() -> None:
    """Warn where the pools of all processes are more than PostgreSQL allows: its refusals look like an outage."""
    pool, silent = database.pool, (0, 0)
    allowed, others = await Question(_count_connections, silent).answer(SECONDS)
    needed = (others + 1) * (OWN_CONNECTIONS + (pool.largest if pool is not None else 0))
    if pool is not None and 0 < allowed < needed:
        logger.warning(
            "%d server processes may need %d connections, PostgreSQL allows %d (max_connections); it refuses more, and "
            "calls are answered with 503: lower DATABASE_POOL_SIZE, %d now, or raise max_connections",
            others + 1,
            needed,
            allowed,
            pool.largest,
        )


def _count_connections() -> tuple[int, int]:
    """Return how many connections users may have, and how many server processes are alive: this one isn't yet."""
    own = own_connection()
    try:
        with own.cursor() as cursor:
            cursor.execute(COUNTS)
            found: tuple[int, int] = cursor.fetchone()
    except DatabaseError as error:
        logger.debug("max_connections is unknown: %r", error)
        return 0, 0
    finally:
        own.close()
    return found


def _database_address(wrapper: Any) -> str:
    options = wrapper.settings_dict
    if wrapper.vendor == "sqlite":
        return str(options["NAME"])
    port = f":{options['PORT']}" if options.get("PORT") else ""
    return f"{options.get('HOST') or 'localhost'}{port}/{options['NAME']}"


async def _layer() -> str:
    layer: Any = get_channel_layer()
    hosts = getattr(layer, "_kwargs", {}).get("hosts")
    if hosts is None:
        return (
            f"channel layer {type(layer).__name__}, one process only"
            if conf.layer_is_local
            else (f"channel layer {type(layer).__name__}")
        )
    prefix = layer._kwargs.get("prefix", "asgi")
    where = ", ".join(map(_host_address, hosts))
    if reason := await _unreachable(layer):
        logger.error("Redis at %s unavailable; pushes wait for the sweep until it answers: %s", where, reason)
        return f"Redis at {where} unavailable, prefix {prefix}"
    return f"Redis at {where}, prefix {prefix}"


async def _unreachable(layer: Any) -> str | None:
    try:
        async with asyncio.timeout(SECONDS):
            await layer.send("doorbell.start", {"type": "start"})
    except Exception as error:
        return " ".join(str(error).split()) or repr(error)
    return None


def _host_address(host: Any) -> str:
    """Return host and port of an address in any of the layer's forms, without its password."""
    if isinstance(host, dict):
        host = host.get("address") or (host.get("host", "localhost"), host.get("port", 6379))
    if isinstance(host, (tuple, list)):
        return ":".join(map(str, host))
    url = urlsplit(str(host))
    return f"{url.hostname}:{url.port or 6379}" if url.hostname else url.path


def _limits() -> str:
    pool = database.pool
    connections_text = f"{pool.largest} database connections, " if pool is not None else ""
    debug = ", DEBUG" if settings.DEBUG else ""
    return (
        f"{connections_text}{conf.max_requests} requests at once, "
        f"{conf.max_connections_per_user} sockets a user{debug}"
    )
