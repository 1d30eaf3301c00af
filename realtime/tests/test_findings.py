"""What `serve` says when it starts: what it found, or an error with address and reason, and never a password."""

import logging

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db.utils import ConnectionHandler

from realtime import database as database_module
from realtime.server import findings

PASSWORD = "se-cret-0123"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, findings.logger.name)

    def read(level):
        ours = [record for record in caplog.records if record.name == findings.logger.name]
        return [record.getMessage() for record in ours if record.levelname == level]

    yield read
    assert PASSWORD not in caplog.text


@pytest.fixture
def wrong_database(monkeypatch):
    """A port at which nothing listens."""
    where = {"NAME": "doorbell", "USER": "ada", "PASSWORD": PASSWORD, "HOST": "127.0.0.1", "PORT": 9}
    pool = {"pool": {"min_size": 2, "max_size": 20}}
    handler = ConnectionHandler(
        {"default": {"ENGINE": "django.db.backends.postgresql", "OPTIONS": pool, **where}}
    )
    for module in (findings, database_module):
        monkeypatch.setattr(module, "connections", handler)


@pytest.mark.django_db
async def test_a_database_that_refuses_is_named_with_address_and_reason(wrong_database, lines):
    await findings.report()
    error, *_ = lines("ERROR")
    assert error.startswith("PostgreSQL at 127.0.0.1:9/doorbell unavailable; /readyz answers 503")
    assert "refused" in error
    (line,) = lines("INFO")
    assert "PostgreSQL at 127.0.0.1:9/doorbell unavailable; " in line


@pytest.mark.django_db(transaction=True)
async def test_a_database_without_its_migrations_is_an_error_that_names_them(lines, monkeypatch):
    async def missing():
        return [f"messaging.{number:04}_step" for number in range(1, 6)]

    monkeypatch.setattr(database_module.database, "missing_migrations", missing)
    await findings.report()
    (error,) = lines("ERROR")
    assert "it lacks messaging.0001_step, messaging.0002_step, messaging.0003_step and 2 more" in error
    assert "`manage.py migrate`" in error
    assert ", not migrated; " in lines("INFO")[0]


@pytest.mark.django_db
async def test_a_redis_that_refuses_is_named_with_address_and_reason(wrong_database, lines, monkeypatch):
    layer = RedisPubSubChannelLayer(hosts=[f"redis://:{PASSWORD}@127.0.0.1:9/0"], prefix="production")
    monkeypatch.setattr(findings, "get_channel_layer", lambda: layer)
    await findings.report()
    (error,) = [line for line in lines("ERROR") if "Redis" in line]
    assert error.startswith("Redis at 127.0.0.1:9 unavailable; pushes wait for the sweep")
    assert "; Redis at 127.0.0.1:9 unavailable, prefix production; " in lines("INFO")[0]
