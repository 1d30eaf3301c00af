"""Calls of the database from async code, as Django's own `aget` and `asave` are made."""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

P = ParamSpec("P")
R = TypeVar("R")
END = object()


def asynchronous(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return the function `a<name>`, which runs this one in the thread of Django's database calls.

    No transaction is open there, since async code has none: what it writes is committed when it returns.
    """

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)

    call.__name__, call.__qualname__ = f"a{function.__name__}", f"a{function.__qualname__}"
    return call


def asynchronous_iteration(function: Callable[P, Iterable[R]]) -> Callable[P, AsyncIterator[R]]:
    """Return the async generator `a<name>`, which goes through what this one returns, step by step, in that thread."""

    @functools.wraps(function)
    async def iterate(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        steps = iter(await asynchronous(function)(*args, **kwargs))
        following: Any = sync_to_async(next, thread_sensitive=True)
        while (step := await following(steps, END)) is not END:
            yield step

    iterate.__name__, iterate.__qualname__ = f"a{function.__name__}", f"a{function.__qualname__}"
    return iterate
