"""Fixtures for every test: a fixed cast, cheap password hashes, a database for each run, threads that clean up."""

import os
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.core.management.commands import flush
from django.db import connections
from pytest_django.fixtures import Settings

# What only PostgreSQL can show (row locks, SKIP LOCKED, deadlocks) is collected only there, so that nothing is skipped.
ON_POSTGRESQL = project_settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
collect_ignore_glob = [] if ON_POSTGRESQL else ["*/test_*_postgresql.py"]

DatabaseOperations = type(connections["default"].ops)

PASSWORD = "doorbell"  # noqa: S105


def size(usual: int, *, full: int) -> int:
    """The size of a test's load: `usual` in `make test`, `full` with FULL_SIZE=1 in the environment."""
    return full if os.environ.get("FULL_SIZE") else usual


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_ALL (`make test`) a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Give each run its own SQLite file, so that two runs at once don't share one."""
    if not ON_POSTGRESQL:
        name = Path(project_settings.DATABASES["default"]["TEST"]["NAME"]).name
        path = tmp_path_factory.mktemp("database") / name
        project_settings.DATABASES["default"]["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Empty the tables cheaply after a test: that is most of what a test of real transactions costs.

    Content types and permissions stay: no test changes them, and Django would create them again each time. PostgreSQL
    is emptied by DELETE: TRUNCATE creates new files for each table, 80 ms against 2.
    """
    kept = {"django_content_type", "auth_permission"}
    plain = DatabaseOperations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Collection[str], **options: Any) -> list[str]:
        emptied = [table for table in tables if table not in kept]
        if not ON_POSTGRESQL:
            return plain(self, style, emptied, **options)
        return [f"DELETE FROM {self.quote_name(table)}" for table in emptied]  # noqa: S608

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **kwargs: None)
        yield


@pytest.fixture(autouse=True)
def cheap_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def relay_runs(settings: Settings) -> None:
    """The relay's thread is part of what is tested here; a project's tests run without it."""
    settings.REALTIME_RELAY = True


@pytest.fixture(autouse=True)
def no_static_files(settings: Settings) -> None:
    """Each test client builds its own middleware, which would scan every static file: half of a client's time."""
    settings.SERVESTATIC_USE_FINDERS = False


@pytest.fixture
def ada(db: None, cheap_passwords: None) -> User:
    return User.objects.create_user("ada", "ada@example.org", PASSWORD)


@pytest.fixture
def grace(db: None, cheap_passwords: None) -> User:
    return User.objects.create_user("grace", "grace@example.org", PASSWORD)


@pytest.fixture
def linus(db: None, cheap_passwords: None) -> User:
    return User.objects.create_user("linus", "linus@example.org", PASSWORD)


@pytest.fixture
def margaret(db: None, cheap_passwords: None) -> User:
    return User.objects.create_user("margaret", "margaret@example.org", PASSWORD)


class Threads:
    """Threads with the database: their connections are closed when they end, and what they raise is raised."""

    def __init__(self) -> None:
        self.running: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def start(self, function: Callable[..., Any], *args: Any) -> threading.Thread:
        def run() -> None:
            try:
                function(*args)
            except BaseException as error:
                self.errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, daemon=True)
        self.running.append(thread)
        thread.start()
        return thread

    def join(self, seconds: float = 60) -> None:
        """Wait for all of them, and raise what the first one raised."""
        while self.running:
            thread = self.running.pop()
            thread.join(seconds)
            if thread.is_alive():
                raise TimeoutError(f"{thread} still runs after {seconds} s")
        if self.errors:
            raise self.errors[0]

    def together(self, *functions: Callable[[], Any]) -> None:
        """Run these at the same moment, each in a thread, and wait for them."""
        barrier = threading.Barrier(len(functions))

        def run(function: Callable[[], Any]) -> None:
            barrier.wait(10)
            function()

        for function in functions:
            self.start(run, function)
        self.join()


@pytest.fixture
def threads(transactional_db: None) -> Iterator[Threads]:
    """Threads that see what the test has committed. For tests of real transactions."""
    started = Threads()
    yield started
    started.join()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End sessions that a thread of a test has left in the pool: PostgreSQL drops no database that is in use."""
    yield
    if ON_POSTGRESQL:
        with django_db_blocker.unblock(), connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
