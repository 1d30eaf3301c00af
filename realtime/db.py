"""Database work of the event loop: a few threads of its own, each giving its connection back after every call.

Channels' database_sync_to_async shares one thread among all that a process does, so one slow query would stop
every socket; and a connection kept by a pool of threads is one that a restart of PostgreSQL leaves broken.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 4
_executor = ThreadPoolExecutor(THREADS, thread_name_prefix="realtime-db")


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Await a function that uses the ORM."""

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_executor, call)
