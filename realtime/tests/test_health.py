import asyncio
import threading
import time

import pytest
from channels.layers import get_channel_layer
from django.db import connections

from messaging.orm.pools import Pool
from realtime import database
from realtime.asgi import with_sockets
from realtime.database import Database
from realtime.delivery import drain
from realtime.http import health
from realtime.http.probes import AsgiProbes
from realtime.tests.client import TIMEOUT


@pytest.fixture(autouse=True)
def unasked(monkeypatch):
    """What this process knows of its database: nothing yet, and no question is under way."""
    known = Database()
    monkeypatch.setattr(health, "database", known)
    return known


def ask(client):
    """Return status and body of /readyz, which must answer shortly after its limit."""
    start = time.monotonic()
    response = client.get("/readyz")
    assert time.monotonic() - start < 30
    return response.status_code, response.json()


@pytest.fixture
def patient(monkeypatch):
    """A longer limit, for tests in which everything answers, but slowly on a busy machine."""
    assert (health.PROBE_SECONDS, database.PROBE_SECONDS) == (1, 1)
    monkeypatch.setattr(health, "PROBE_SECONDS", TIMEOUT)
    monkeypatch.setattr(database, "PROBE_SECONDS", TIMEOUT)


@pytest.fixture
def hanging_database(monkeypatch):
    """A database that answers no query until the test is over."""
    over, asked = threading.Event(), []

    def hang(self):
        asked.append(self)
        over.wait(60)

    monkeypatch.setattr(Database, "_query", hang)
    yield asked
    over.set()


def test_healthz_answers_while_the_process_is_alive(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.django_db(transaction=True)
def test_readyz_is_ok_when_database_and_layer_answer(client, patient):
    for _ in range(3):
        assert ask(client) == (200, {"status": "ok", "database": "ok", "layer": "ok"})


@pytest.mark.django_db(transaction=True)
def test_readyz_is_503_while_draining(client, patient, monkeypatch):
    monkeypatch.setattr(drain, "draining", True)
    assert ask(client) == (503, {"status": "draining", "database": "ok", "layer": "ok"})


def test_readyz_is_503_when_the_database_refuses(client, patient, monkeypatch):
    def refuse(*args):
        raise OSError

    monkeypatch.setattr(type(connections["default"]), "cursor", refuse)
    assert ask(client) == (503, {"status": "down", "database": "down", "layer": "ok"})


def test_readyz_is_503_when_the_database_hangs_and_sends_no_second_query(client, hanging_database):
    for _ in range(2):
        assert ask(client) == (503, {"status": "down", "database": "down", "layer": "ok"})
    assert len(hanging_database) == 1


@pytest.mark.django_db(transaction=True)
def test_readyz_is_503_until_the_migrations_are_applied_and_then_asks_no_more(client, patient, monkeypatch):
    def unmigrated(answer):
        return 503, {"status": "unmigrated", "database": "unmigrated", "missing": answer, "layer": "ok"}

    answers = [["messaging.0006_pruning_indexes"], ["realtime.0001_initial"], []]
    monkeypatch.setattr("messaging.orm.tables.unapplied", lambda *args: answers.pop(0))
    assert ask(client) == unmigrated(["messaging.0006_pruning_indexes"])
    assert ask(client) == unmigrated(["realtime.0001_initial"])
    for _ in range(3):
        assert ask(client) == (200, {"status": "ok", "database": "ok", "layer": "ok"})


@pytest.mark.django_db(transaction=True)
def test_readyz_is_200_while_all_connections_are_in_use_and_says_so(client, patient, monkeypatch):
    pool = Pool(size=20, largest=20, idle=0, waiting=40)
    monkeypatch.setattr(Database, "pool", property(lambda self: pool))
    assert ask(client) == (200, {"status": "busy", "database": "busy", "layer": "ok"})
    for free in (pool._replace(waiting=0), pool._replace(idle=1), pool._replace(size=19)):
        pool = free
        assert ask(client) == (200, {"status": "ok", "database": "ok", "layer": "ok"})


async def hang(*args):
    await asyncio.sleep(60)


async def refuse(*args):
    raise OSError


async def drop(*args):
    """Accept a message, and lose it."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failure", [hang, refuse, drop])
def test_readyz_names_a_layer_that_does_not_answer_and_stays_200(client, monkeypatch, failure):
    monkeypatch.setattr(get_channel_layer(), "send", failure, raising=False)
    assert ask(client) == (200, {"status": "degraded", "database": "ok", "layer": "down"})


@pytest.mark.django_db(transaction=True)
def test_readyz_is_degraded_without_a_layer(client, patient, monkeypatch):
    monkeypatch.setattr(health, "get_channel_layer", lambda: None)
    assert ask(client) == (200, {"status": "degraded", "database": "ok", "layer": "down"})


@pytest.mark.django_db(transaction=True)
async def test_readyz_ignores_messages_of_earlier_probes(patient):
    layer = get_channel_layer()
    await layer.send(health.PROBE_CHANNEL, {"type": "readyz", "nonce": "old"})
    assert await health.layer_answers()


@pytest.mark.parametrize(
    ("path", "root_path", "script_name"),
    [("/healthz", "", None), ("/app/healthz", "/app", None), ("/app/healthz", "", "/app")],
)
async def test_probes_are_answered_under_a_prefix(settings, path, root_path, script_name):
    settings.FORCE_SCRIPT_NAME = script_name
    sent = []

    async def django(scope, receive, send):
        pytest.fail("passed on")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
    await AsgiProbes(django)(scope | {"query_string": b""}, None, send)
    assert sent[0]["status"] == 200


async def test_a_probes_headers_are_bounded_before_they_are_parsed():
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    headers = [(b"content-type", b";" * 60_000)]
    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": headers}
    await with_sockets(None)(scope, receive, send)
    assert sent[0]["status"] == 431
