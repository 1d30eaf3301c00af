"""Real server processes on free ports of 127.0.0.1, and databases for them. Nothing here knows what they serve."""

import contextlib
import functools
import http.client
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "doorbell"
START_SECONDS = 60.0
# What no server may log, whatever happens to it.
FAULTS = re.compile(r"Traceback|was never (?:awaited|retrieved)|still run are given up| (?:ERROR|CRITICAL) ")
RECORDS = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} )", re.MULTILINE)
# Ends the process group if the test run is killed: the write end of its stdin closes with the run.
GUARD = 'read -r stopped || kill -s KILL -- "-$1" 2>/dev/null'

# Enough users that no two tests share one, each with a password and a session that needs no sign-in.
POPULATE = """
import json
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
names = ["ada", "grace", "linus", "margaret"] + [f"guest{n:03}" for n in range(60)]
password = make_password(%r)
User.objects.bulk_create([User(username=name, password=password) for name in names])
store, until, people, sessions = SessionStore(), timezone.now() + timezone.timedelta(days=1), [], []
for user in User.objects.order_by("pk"):
    login = {"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
        "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0]}
    key = f"session{user.pk:025}"
    sessions.append(Session(session_key=key, session_data=store.encode(login), expire_date=until))
    people.append({"id": user.pk, "username": user.username, "session": key})
Session.objects.bulk_create(sessions)
print(json.dumps(people))
"""

_numbers = itertools.count(1)
_ports = itertools.count()


class Database:
    """A database that can be copied, and read without the project's code."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def template(cls, folder: Path, server_url: str, environment: Mapping[str, str]) -> "Database":
        """Make a migrated database with users in it. `server_url`: a PostgreSQL database's, or ""."""
        if server_url:
            name = f"live_{os.getpid()}_template"
            _administrate(server_url, f'CREATE DATABASE "{name}"')
            made = cls(urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")))
        else:
            made = cls(f"sqlite:///{folder / 'template.sqlite3'}")
        manage(made.environment(environment), "migrate", "--verbosity", "0")
        made.people = json.loads(
            manage(made.environment(environment), "shell", "-v0", "-c", POPULATE % PASSWORD)
        )
        return made

    people: list[dict[str, Any]]

    @property
    def on_postgresql(self) -> bool:
        return self.url.startswith("postgres")

    @classmethod
    def empty(cls, server_url: str) -> "Database":
        """Make an empty database on this PostgreSQL server."""
        name = f"live_{os.getpid()}_{next(_numbers)}"
        _administrate(server_url, f'CREATE DATABASE "{name}"')
        return cls(urlunsplit(urlsplit(server_url)._replace(path=f"/{name}")))

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {**environment, "DATABASE_URL": self.url}

    def copy(self, folder: Path) -> "Database":
        if self.on_postgresql:
            source = urlsplit(self.url).path[1:]
            name = f"live_{os.getpid()}_{next(_numbers)}"
            _administrate(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{source}"', on_postgres=True)
            made = Database(urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")))
        else:
            path = folder / f"live{next(_numbers)}.sqlite3"
            shutil.copy(self.url.removeprefix("sqlite:///"), path)
            made = Database(f"sqlite:///{path}")
        made.people = list(self.people)
        return made

    def drop(self) -> None:
        if self.on_postgresql:
            _administrate(
                self.url, f'DROP DATABASE "{urlsplit(self.url).path[1:]}" WITH (FORCE)', on_postgres=True
            )

    def read(self, query: str) -> list[tuple[Any, ...]]:
        if self.on_postgresql:
            with psycopg.connect(self.url) as connection:
                return connection.execute(query.encode()).fetchall()
        with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as on_sqlite:
            return on_sqlite.execute(query).fetchall()

    def write(self, statement: str) -> None:
        if self.on_postgresql:
            with psycopg.connect(self.url) as on_postgresql:
                on_postgresql.execute(statement.encode())
        else:
            path = self.url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as on_sqlite, on_sqlite:
                on_sqlite.execute(statement)

    def contents(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of these tables, to be compared with what it was before."""
        return {table: sorted(self.read(f"SELECT * FROM {table}"), key=repr) for table in tables}


def _administrate(url: str, statement: str, *, on_postgres: bool = False) -> None:
    """Run a statement about databases. `on_postgres`: in the database `postgres`, if `url`'s must have no sessions."""
    if on_postgres:
        url = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def base_environment(caches: Path) -> dict[str, str]:
    """What every process gets: as in production, but over plain HTTP."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "REDIS_URL")
    compiled = os.access(ROOT, os.W_OK) and Path(importlib.util.cache_from_source(django.__file__)).exists()
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "SECRET_KEY": "only-for-the-live-tests-0123456789-0123456789-0123456789",
        "DEBUG": "False",
        "SECURE_COOKIES": "False",
        # What RECORDS and the tests read.
        "LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
        # Without bytecode a start takes four times as long; where there is some, each run needn't make its own.
        **({} if compiled else {"PYTHONPYCACHEPREFIX": str(caches)}),
    }


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a manage.py command to its end; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    if done.returncode or FAULTS.search(done.stderr):
        raise AssertionError(
            f"manage.py {arguments[0]}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


@functools.cache
def _block() -> tuple[socket.socket, int]:
    """Reserve a hundred ports for this process: whichever process holds the first one has them, until it ends."""
    # Below the ephemeral range: there a client that reconnects to a dead server can connect to itself.
    for first in range(20000, 30000, 100):
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", first))
        except OSError:
            held.close()
        else:
            return held, first
    raise RuntimeError("no ports between 20000 and 30000 are free")


def free_port() -> int:
    """A port that no other run takes: one that looks free may be of a server that is about to start, or to restart."""
    _, first = _block()
    for _ in range(99):
        port = first + 1 + next(_ports) % 99
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port between {first} and {first + 99} is free")


WSGI = (
    "import sys\nfrom wsgiref.simple_server import make_server\nfrom config.wsgi import application\n"
    "make_server('127.0.0.1', int(sys.argv[1]), application).serve_forever()"
)


class Server:
    """A server process in a group of its own. `start` after it has ended takes the same port again."""

    KINDS: Mapping[str, list[str]] = {
        "serve": ["manage.py", "serve", "--port", "{port}"],
        "runserver": ["manage.py", "runserver", "--noreload", "{port}"],
        "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "config.asgi:application"],
        "wsgi": ["-c", WSGI, "{port}"],
    }

    def __init__(self, kind: str, environment: Mapping[str, str], log: Path, folder: Path = ROOT) -> None:
        self.kind = kind
        self.folder = folder
        self.environment = dict(environment)
        self.log = log
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{self.kind} on port {self.port}>"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Server":
        """Returns when it answers."""
        first = self.port == 0
        for attempt in range(3):
            if first:
                self.port = free_port()
            if self._launch():
                return self
            # Between the probe of the port and the start another process may have taken it.
            if not first or attempt == 2:
                break
        raise AssertionError(f"{self} didn't start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def _launch(self) -> bool:
        command = [part.format(port=self.port) for part in self.KINDS[self.kind]]
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return process.poll() is None
            time.sleep(0.05)
        self.kill()
        return False

    def _answers(self) -> bool:
        """Whatever it answers, a redirect or a 404: a project needn't have our probes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, seconds: float = 25) -> int:
        """SIGTERM; returns the exit code. Fails if it takes longer."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for its end, after a signal; returns the exit code."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} still runs {seconds} s after its signal") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and whatever it started."""
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if guard is not None:
            with contextlib.suppress(BrokenPipeError):
                guard.communicate(b"stopped\n")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def rss(self) -> int:
        """Resident memory, in bytes."""
        status = Path(f"/proc/{self.pid}/status")
        if status.exists():
            return int(re.findall(r"VmRSS:\s*(\d+) kB", status.read_text())[0]) * 1024
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, check=True)
        return int(shown.stdout) * 1024


class Shell:
    """`manage.py shell -c`, fed line by line by the test; what it prints is read line by line."""

    def __init__(self, environment: Mapping[str, str], code: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v0", "-c", code],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def read_line(self) -> str:
        """The next line that it prints."""
        output: IO[str] = self._process.stdout  # type: ignore[assignment]
        line = output.readline()
        assert line, f"the shell ended with code {self._process.wait()}"
        return line.strip()

    def send_line(self, line: str = "") -> None:
        pipe: IO[str] = self._process.stdin  # type: ignore[assignment]
        pipe.write(f"{line}\n")
        pipe.flush()

    def end(self, seconds: float = 20) -> int:
        """Close its input, and wait for its end."""
        try:
            self._process.communicate(timeout=seconds)
        finally:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def find_faults(logs: Iterable[tuple[Path, int]], expected_faults: Iterable[str] = ()) -> str:
    """Return the records of these logs that report a fault, from these offsets on.

    `expected_faults`: a record that contains one of these texts is left out.
    """
    found: list[str] = []
    for path, start in logs:
        text = path.read_bytes()[start:].decode(errors="replace")
        found += [
            f"{path.name}:\n{record[:3000]}"
            for record in RECORDS.split(text)
            if FAULTS.search(record) and not any(excuse in record for excuse in expected_faults)
        ]
    return "\n".join(found[:5])
