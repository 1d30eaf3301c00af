"""All connections of the process are in use: callers read that, and not that the database is away."""

import contextlib
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from psycopg_pool import PoolTimeout

from messaging.api import errors
from messaging.orm import pools, tables
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def full_pool(monkeypatch):
    """Take every connection that the pool may have."""
    ApiClient()("GET", "session")
    wrapper: Any = connection
    pool = wrapper.pool
    monkeypatch.setattr(pool, "timeout", 0.2)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", {"max_size": 20, "timeout": 0.2})
    connection.close()
    held: list[Any] = []
    # A thread of an earlier test may hold some still.
    with contextlib.suppress(PoolTimeout):
        while len(held) < pool.max_size:
            held.append(pool.getconn(2))
    yield pool
    for one in held:
        pool.putconn(one)


def in_a_thread(work):
    """Call this where no connection is held yet. Returns what it returns."""
    found = []

    def run():
        try:
            found.append(work())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]


def test_a_call_is_answered_busy_and_its_line_says_what_to_do(full_pool, caplog):
    response = in_a_thread(lambda: ApiClient()("GET", "notifications", Authorization="Bearer doorbell_x"))
    assert refusal(response) == (503, "busy")
    assert "connections" in response.json()["detail"]
    assert response["Retry-After"] == "1"
    (record,) = [record for record in caplog.records if record.name == errors.logger.name]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("database pool full; GET ")
    assert "DATABASE_POOL_SIZE" in record.getMessage()
    assert "unavailable" not in record.getMessage()


def test_lines_of_the_servers_own_say_so_too(full_pool):
    def fail():
        with pytest.raises(OperationalError) as raised:
            connection.ensure_connection()
        return raised.value

    error = in_a_thread(fail)
    assert pools.is_pool_error(error)
    assert tables.what_failed(error) == "database pool full"


def test_a_database_that_is_away_is_not_taken_for_a_full_pool(full_pool, monkeypatch):
    """Negative control: the same time-out, while connections are refused, and when the pool has lost some."""
    error = OperationalError("couldn't get a connection after 0.05 sec")
    error.__cause__ = type("PoolTimeout", (Exception,), {})()
    assert pools.is_exhausted(connection, error)
    monkeypatch.setattr(full_pool, "timeout", 0.05)
    assert tables.what_failed(error) == "database unavailable"
    monkeypatch.setattr(full_pool, "timeout", 0.2)
    monkeypatch.setattr(full_pool, "get_stats", lambda: {"pool_size": 3, "pool_max": 20})
    assert tables.what_failed(error) == "database unavailable"
    assert not pools.is_exhausted(connection, OperationalError("server closed the connection"))
