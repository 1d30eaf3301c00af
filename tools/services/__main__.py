"""Runs a command with a private PostgreSQL and Redis: `python -m tools.services --pg --redis -- COMMAND`."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from . import ServiceError, postgres, redis
from .server import STOP_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.services",
        description="Run COMMAND with a real PostgreSQL and/or Redis of its own:"
        " DATABASE_URL and REDIS_URL are set in its environment, and its exit code is returned.",
        epilog="Where the programs come from: $PG_BIN and $REDIS_SERVER, else the wheels of"
        " requirements-dev.txt, else the system.",
    )
    parser.add_argument("--pg", action="store_true", help="start PostgreSQL and set DATABASE_URL")
    parser.add_argument("--redis", action="store_true", help="start Redis and set REDIS_URL")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --, with its arguments")
    options = parser.parse_args(arguments)
    if not (options.pg or options.redis):
        parser.error("name at least one of --pg and --redis")

    runner = _Runner()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, runner.on_signal)
    environment = dict(os.environ)
    try:
        with contextlib.ExitStack() as stack:
            if options.pg:
                environment["DATABASE_URL"] = stack.enter_context(postgres())
            if options.redis:
                environment["REDIS_URL"] = stack.enter_context(redis()).url
            return runner.run(options.command, environment)
    except ServiceError as error:
        print(f"tools.services: {error}", file=sys.stderr)
        return 3


class _Runner:
    """Runs one command and hands it the signals, so that what was started is always cleaned up after it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._signal = 0

    def _told_to_end(self) -> bool:
        return self._signal != 0

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        # Ctrl-C at a terminal has reached the command already: it is in our process group.
        if self._child is not None and not (number == signal.SIGINT and os.isatty(0)):
            self._child.send_signal(number)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        if self._told_to_end():
            return 128 + self._signal
        try:
            self._child = subprocess.Popen(command, env=environment)
        except OSError as error:
            print(f"tools.services: {command[0]}: {error.strerror}", file=sys.stderr)
            return 127
        while True:
            try:
                code = self._child.wait(STOP_SECONDS if self._told_to_end() else 1)
            except subprocess.TimeoutExpired:
                if self._told_to_end():
                    self._child.kill()
            else:
                return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
