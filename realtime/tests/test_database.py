"""Outages of the database: what is logged once, what isn't, and how long calls wait meanwhile."""

import logging
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from messaging.orm import pools
from messaging.orm.pools import Pool
from realtime import database as module
from realtime.database import Answer, Database
from realtime.log_records import OutageFilter
from realtime.server import findings
from realtime.tests.client import TIMEOUT

REFUSED = Answer("connection refused", refused=True)


@pytest.fixture
def known(monkeypatch):
    """The process's knowledge of its database, whose answers the test gives."""
    fresh = Database()
    monkeypatch.setattr(module, "database", fresh)
    return fresh


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("realtime.outages.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "realtime.database"]


def test_an_outage_is_one_line_when_it_begins_one_every_ten_minutes_and_one_when_it_ends(
    known, clock, caplog
):
    name = connections["default"].display_name
    for _ in range(5):
        known._note(Answer())
    for _ in range(599):
        known._note(REFUSED)
        clock[0] += 1
    assert len(lines(caplog)) == 1
    assert lines(caplog)[0].startswith(f"{name} unavailable; ")
    assert lines(caplog)[0].endswith(": connection refused")
    clock[0] += 1
    known._note(REFUSED)
    known._note(REFUSED)
    clock[0] += 33
    for _ in range(3):
        known._note(Answer())
    assert lines(caplog)[1:] == [
        f"{name} still unavailable after 10 min: connection refused",
        f"{name} available again after 633 s",
    ]


def test_one_late_answer_is_no_outage_and_two_are(known, caplog):
    late = Answer("no answer within a second")
    known._note(late)
    known._note(Answer())
    known._note(late)
    assert lines(caplog) == []
    known._note(late)
    assert len(lines(caplog)) == 1


async def test_a_full_pool_is_named_and_is_no_outage(known, monkeypatch, caplog):
    async def answers():
        return True

    pool = Pool(size=20, largest=20, idle=0, waiting=40)
    monkeypatch.setattr(known, "answers", answers)
    monkeypatch.setattr(Database, "pool", property(lambda self: pool))
    await known.watch()
    assert lines(caplog) == []
    await known.watch()
    await known.watch()
    assert len(lines(caplog)) == 1
    assert lines(caplog)[0].endswith("the pool of 20 is full, 40 wait")
    pool = pool._replace(idle=3, waiting=0)
    for _ in range(3):
        await known.watch()
    assert len(lines(caplog)) == 2
    assert lines(caplog)[1].startswith("database pool has free connections again after ")


class FakePool:
    timeout = 3.0


def test_calls_wait_less_while_connections_are_refused_and_as_before_afterwards(known, monkeypatch):
    pool = FakePool()

    wrapper: Any = SimpleNamespace(pool=pool, settings_dict={"OPTIONS": {"pool": {"timeout": 3.0}}})
    monkeypatch.setattr(module, "connections", {"default": wrapper})
    known._note(REFUSED)
    assert pool.timeout == 3.0, "only a process that asks all the time knows when it is over"
    known._watched = True
    known._note(REFUSED)
    assert pool.timeout == module.REFUSED_WAIT_SECONDS
    known._note(Answer())
    assert pool.timeout == 3.0
    wrapper.settings_dict = {"OPTIONS": {"pool": True}}
    pools.set_wait(wrapper, None)
    assert pool.timeout == 30.0


def record(name, *args):
    return logging.LogRecord(name, logging.WARNING, "x.py", 1, "failed%s", args, None)


def test_what_follows_from_a_known_outage_is_not_logged_again(known):
    outage_filter = OutageFilter()
    error = OperationalError("connection refused")
    assert outage_filter.filter(record("messaging.api.errors", error))
    assert outage_filter.filter(record("psycopg.pool"))
    # Once a minute.
    assert not outage_filter.filter(record("psycopg.pool"))
    known._note(REFUSED)
    assert not outage_filter.filter(record("messaging.api.errors", error))
    assert not OutageFilter().filter(record("psycopg.pool"))
    # Whatever else goes wrong is.
    assert outage_filter.filter(record("messaging.api.errors", ValueError("another")))
    assert outage_filter.filter(record("realtime.outbound.relay"))
    known._note(Answer())
    assert outage_filter.filter(record("messaging.api.errors", error))


def test_what_follows_from_a_known_full_pool_is_not_logged_again_and_anything_else_is(known):
    outage_filter = OutageFilter()
    refused = OperationalError("couldn't get a connection after 3.00 sec")
    refused.__cause__ = type("PoolTimeout", (Exception,), {})()
    assert outage_filter.filter(record("messaging.api.errors", refused))
    known.overload.note("the pool of 20 is full, 40 wait")
    assert not outage_filter.filter(record("messaging.api.errors", refused))
    assert outage_filter.filter(record("messaging.api.errors", OperationalError("deadlock detected")))
    known.overload.note(None)
    assert outage_filter.filter(record("messaging.api.errors", refused))


@pytest.fixture
def opened():
    """The connections that questions have opened."""
    noted: list[Any] = []

    def note(connection, **kwargs):
        if threading.current_thread().name == "readyz":
            noted.append(connection)

    connection_created.connect(note)
    yield noted
    connection_created.disconnect(note)


@pytest.mark.django_db(transaction=True)
async def test_a_question_leaves_no_connection_open(known, opened, monkeypatch):
    monkeypatch.setattr(module, "PROBE_SECONDS", TIMEOUT)
    monkeypatch.setattr(findings, "database", known)
    assert await known.answers()
    await findings.report()
    assert known.migrated
    assert len(opened) >= 3
    assert [connection for connection in opened if connection.connection is not None] == []
