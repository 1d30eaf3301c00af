"""Database work of the event loop: a few threads of its own, each giving its connection back after every call.

Channels' database_sync_to_async shares one thread among all that a process does, so one slow query would stop
every socket; and a connection kept by a pool of threads is one that a restart of PostgreSQL leaves broken.
"""

import asyncio
import ctypes
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 4
# Of all threads: those that are gone in a forked child have left theirs.
_opened: weakref.WeakSet[BaseDatabaseWrapper] = weakref.WeakSet()
_executor = ThreadPoolExecutor(THREADS, thread_name_prefix="realtime-db")


def _note_opened(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    _opened.add(connection)


connection_created.connect(_note_opened)


def begin_after_fork() -> None:
    """In the child: the threads are gone, and the parent's database connections are the parent's.

    They are neither used nor closed, which would end the parent's session, nor ever finalized: not even at the
    interpreter's end, when SQLite would take itself for the last connection, and remove the parent's log.
    """
    global _executor  # noqa: PLW0603
    _executor = ThreadPoolExecutor(THREADS, thread_name_prefix="realtime-db")
    for wrapper in {*_opened, *connections.all(initialized_only=True)}:
        # On PostgreSQL the pool of the whole process, with threads that died in the fork.
        pools: dict[str, Any] = getattr(wrapper, "_connection_pools", {})
        ctypes.pythonapi.Py_IncRef(ctypes.py_object((wrapper, dict(pools))))
        pools.clear()
    _opened.clear()
    for wrapper in connections.all(initialized_only=True):
        del connections[wrapper.alias]


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Await a function that uses the ORM."""

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_executor, call)
