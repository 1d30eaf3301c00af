"""Runs a server, and notes how long its event loop stalls: `watched FILE ARGUMENTS`, where ARGUMENTS are Python's own.

At SIGUSR1 the longest stall so far, in milliseconds, is written to FILE, and the next one begins from nothing.
"""

import asyncio
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

TICK_SECONDS = 0.002


def main() -> None:
    path = Path(sys.argv[1])
    original: Any = uvicorn.Server.startup

    async def startup(server: uvicorn.Server, *args: Any, **kwargs: Any) -> None:
        await original(server, *args, **kwargs)
        watch(path)

    patched: Any = uvicorn.Server
    patched.startup = startup
    arguments = sys.argv[2:]
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def watch(path: Path) -> None:
    loop = asyncio.get_running_loop()
    longest, before = 0.0, time.monotonic()

    def tick() -> None:
        nonlocal longest, before
        now = time.monotonic()
        longest, before = max(longest, now - before - TICK_SECONDS), now
        loop.call_later(TICK_SECONDS, tick)

    def write() -> None:
        nonlocal longest
        path.write_text(f"{1000 * longest:.1f}\n")
        longest = 0.0

    loop.add_signal_handler(signal.SIGUSR1, write)
    tick()
