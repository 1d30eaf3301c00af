"""The services of a run: a PostgreSQL that keeps what it commits, a Redis, and the databases of what is measured."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tools.services import PostgresServer

from . import programs
from .cores import cpu_seconds


class DurablePostgres(PostgresServer):
    """With fsync, and PostgreSQL's defaults for everything but memory."""

    settings: Sequence[str] = ("shared_buffers=512MB", "max_wal_size=4GB")


@dataclass
class Database:
    """A database of one of those that are measured. `people`: [id, session key] of each user."""

    url: str
    environment: Mapping[str, str]
    postgres: DurablePostgres
    people: list[list[object]] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        postgres: DurablePostgres,
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        people: int,
        history: int = 0,
    ) -> "Database":
        administrate(postgres, f'CREATE DATABASE "{name}"')
        url = urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
        environment = {**environment, "DATABASE_URL": url}
        made = cls(url, environment, postgres)
        printed = run(
            programs.command("populate", folder, str(people), str(history)),
            folder,
            environment | programs.environment(),
        )
        made.people = json.loads(printed)
        made.query("VACUUM ANALYZE")
        return made

    @property
    def name(self) -> str:
        return urlsplit(self.url).path[1:]

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def wal_bytes(self) -> int:
        """How much WAL has been written so far, by all databases of the server."""
        [(position,)] = self.query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        return int(str(position))

    def cpu(self) -> float:
        return cpu_seconds(self.postgres.pid, family=True)

    def drop(self) -> None:
        administrate(self.postgres, f'DROP DATABASE "{self.name}" WITH (FORCE)')


def administrate(postgres: DurablePostgres, statement: str) -> None:
    url = urlunsplit(urlsplit(postgres.url)._replace(path="/postgres"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a program to its end; returns what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-4:])} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
