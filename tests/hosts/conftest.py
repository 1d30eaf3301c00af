"""Host projects, made by each test, on the database of the run."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import environ
import pytest

from tests.live.servers import Database

from .project import HostProject

SERVER_DATABASE = os.environ.get("DATABASE_URL", "")
ON_POSTGRESQL = SERVER_DATABASE.startswith("postgres")
collect_ignore_glob = ["test_replica.py"] if ON_POSTGRESQL else []


@pytest.fixture
def database_settings(tmp_path: Path) -> Iterator[str]:
    """Settings for a database of the test's own; "" for the SQLite file that docs/install.md sets up."""
    if not ON_POSTGRESQL:
        yield ""
        return
    database = Database.empty(SERVER_DATABASE)
    settings: dict[str, Any] = {**environ.Env.db_url_config(database.url)}
    yield f"DATABASES = {{'default': {settings!r}}}"
    database.drop()


@pytest.fixture
def host(tmp_path: Path, database_settings: str) -> Callable[..., HostProject]:
    """Make the project, once: `settings` and `files` as for HostProject."""

    def make(settings: str = "", files: Mapping[str, str] | None = None) -> HostProject:
        return HostProject(tmp_path, f"{database_settings}\n{settings}", files)

    return make
