"""SQLite's defaults are found in a deployment, and what the hint says mends them."""

import contextlib
import sqlite3
from types import SimpleNamespace

import pytest
from django.conf import settings as project_settings
from django.core.checks.registry import registry

from messaging import sqlite_checks
from messaging.tests.pasting import lines_of

PAIR = (sqlite_checks.journal, sqlite_checks.transactions)


def found():
    return [message for check in PAIR for message in check()]


@pytest.fixture
def connection(monkeypatch, tmp_path):
    """A connection to a file of SQLite's."""
    options = {"NAME": str(tmp_path / "db.sqlite3"), "OPTIONS": {}}
    connection = SimpleNamespace(vendor="sqlite", is_in_memory_db=lambda: False, settings_dict=options)
    monkeypatch.setattr(sqlite_checks, "connections", {"default": connection})
    return connection


@pytest.fixture
def database(connection):
    """Its settings, as DATABASES["default"] has them."""
    return connection.settings_dict


@pytest.mark.parametrize("given", [{}, {"timeout": 5}, {"init_command": "PRAGMA cache_size=-2000"}])
def test_the_pasted_hints_mend_the_defaults(database, given):
    database["OPTIONS"] = dict(given)
    messages = found()
    assert [message.id for message in messages] == ["messaging.W008", "messaging.W009"]
    for message in messages:
        exec(lines_of(message.hint), {"DATABASES": {"default": database}})
    assert found() == []
    # What was there stays.
    assert database["OPTIONS"]["init_command"].startswith(given.get("init_command", "PRAGMA journal"))
    assert database["OPTIONS"]["timeout"] == given.get("timeout", 20)
    with contextlib.closing(sqlite3.connect(database["NAME"])) as connection:
        for statement in database["OPTIONS"]["init_command"].split(";"):
            connection.execute(statement)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_without_options_at_all(database):
    del database["OPTIONS"]
    for message in found():
        exec(lines_of(message.hint), {"DATABASES": {"default": database}})
    assert found() == []


def test_a_file_that_has_the_log_already_keeps_it(database):
    database["OPTIONS"] = {"transaction_mode": "exclusive"}
    with contextlib.closing(sqlite3.connect(database["NAME"])) as connection:
        connection.execute("CREATE TABLE t (x)")
        assert [message.id for message in found()] == ["messaging.W008"]
        connection.execute("PRAGMA journal_mode=WAL")
    assert found() == []


def test_only_files_of_sqlite_are_looked_at_and_only_in_a_deployment(connection):
    connection.is_in_memory_db = lambda: True
    assert found() == []
    connection.is_in_memory_db, connection.vendor = None, "postgresql"
    assert found() == []
    for check in PAIR:
        assert check in registry.get_checks(include_deployment_checks=True)
        assert check not in registry.get_checks()


def test_this_repositorys_own_settings_are_right(monkeypatch):
    assert found() == []
    assert project_settings.DATABASES["default"]["ENGINE"]
