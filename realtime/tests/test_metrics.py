"""GET /metrics: it shows what happened, to those who may see it, and it never hangs."""

import asyncio
import contextlib
import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from messaging import notifications
from messaging.orm.pools import Pool
from realtime.database import Database
from realtime.db_threads import in_thread
from realtime.http import metrics
from realtime.http.counting import AsgiCounting
from realtime.questions import Question
from realtime.tests.client import TIMEOUT

LABELS = {
    "doorbell_restarts_total": {"name"},
    "doorbell_info": {"version", "process"},
    "doorbell_database_pool": {"state"},
    "doorbell_delivery_seconds_bucket": {"le"},
    "doorbell_http_requests_total": {"status"},
    "doorbell_publish_errors_total": {"code"},
    "doorbell_sockets_closed_total": {"code"},
    "doorbell_resets_total": {"reason"},
}


@pytest.fixture(autouse=True)
def unasked(monkeypatch):
    """No question to the database is under way."""
    monkeypatch.setattr(metrics, "database", Database())


async def read(**headers):
    response = await AsyncClient().get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    assert response["Cache-Control"] == "no-store"
    return response.content.decode()


async def numbers():
    """The metrics: {name: value}, and {name{label}: value} of those that have a label."""
    values = {}
    for family in text_string_to_metric_families(await read()):
        for sample in family.samples:
            label = "".join(f"{{{value}}}" for value in sample.labels.values())
            values[sample.name + label] = sample.value
    return values


async def until(condition):
    """Wait until the metrics fulfil the condition. Returns them."""
    async with asyncio.timeout(TIMEOUT):
        while not condition(values := await numbers()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return values


async def test_sockets_frames_and_revisions_are_counted(server, ada, settings):
    settings.REALTIME_HEARTBEAT_SECONDS = 10**9
    # On a busy machine it may deliver by a replay what is pushed late.
    settings.REALTIME_SWEEP_SECONDS = 10**9
    before = await numbers()
    socket = await server.connect(ada)
    await in_thread(notifications.notify, ada, "announcement", "Doorbell is here")
    assert (await socket.next())["type"] == "inbox"
    events = "doorbell_presence_events_total"

    def written(values):
        # (On a busy machine the database may be reported as down once.)
        return (
            values[events] > before[events]
            and values["doorbell_presence_lease"]
            and values["doorbell_database_up"]
        )

    values = await until(written)

    def rise(name):
        return values[name] - before.get(name, 0)

    assert (values["doorbell_sockets"], values["doorbell_feeds"], values["doorbell_sockets_behind"]) == (
        1,
        1,
        0,
    )
    assert rise("doorbell_sockets_opened_total") == 1
    assert rise("doorbell_frames_sent_total") == 4  # hello, presence_state, synced, inbox
    assert (rise("doorbell_revisions_total"), rise("doorbell_stamped_rows_total")) == (1, 1)
    assert rise("doorbell_replays_total") == 0
    assert rise("doorbell_delivery_seconds_count") == 1
    assert rise("doorbell_delivery_seconds_bucket{+Inf}") == 1
    assert 0 < rise("doorbell_delivery_seconds_sum") < TIMEOUT
    assert values["doorbell_oldest_pending_seconds"] == 0
    assert values["doorbell_draining"] == 0
    assert values["process_open_fds"] > 0


async def test_replays_resets_and_close_codes_are_counted(server, ada):
    before = await numbers()
    await in_thread(notifications.notify, ada, "announcement", "Doorbell is here")
    await in_thread(notifications.assign_revisions, [ada.pk])
    socket = await server.connect(ada, since=99)
    server.client_socket(ada).close(4000)
    assert await socket.close_code() == 4000
    await socket.disconnect(4000)
    await server.connect(ada, since=0)
    values = await until(lambda values: values["doorbell_sockets"] == 1)
    assert values["doorbell_replays_total"] - before["doorbell_replays_total"] == 1
    reset = "doorbell_resets_total{unknown_revision}"
    assert values[reset] - before.get(reset, 0) == 1
    closed = "doorbell_sockets_closed_total{4000}"
    assert values[closed] - before.get(closed, 0) == 1


@pytest.mark.usefixtures("unnumbered")
async def test_what_only_the_sweep_found_is_counted(server, ada, settings):
    settings.REALTIME_RELAY = False
    settings.REALTIME_PENDING_SECONDS = settings.REALTIME_SWEEP_SECONDS = 0.1
    before = await numbers()
    await server.connect(ada)
    await in_thread(notifications.notify, ada, "announcement", "Doorbell is here")
    revisions, sockets = "doorbell_swept_revisions_total", "doorbell_swept_sockets_total"
    values = await until(lambda values: values[sockets] > before[sockets])
    assert (values[revisions] - before[revisions], values[sockets] - before[sockets]) == (1, 1)


async def test_what_waits_is_shown(server, monkeypatch):
    relay = SimpleNamespace(queued_users=3, queued_messages=1, dropped=7)
    monkeypatch.setattr(metrics, "relay", relay)
    monkeypatch.setattr(metrics, "presence_writer", SimpleNamespace(queued=2, has_lease=False))
    server.hub.ignored = 5
    values = await numbers()
    assert values["doorbell_relay_waiting"] == 1
    assert values["doorbell_presence_lease"] == 0
    assert values["doorbell_relay_touched"] == 3
    assert values["doorbell_relay_dropped_total"] == 7
    assert values["doorbell_presence_waiting"] == 2
    assert values["doorbell_layer_ignored_total"] == 5


async def test_no_user_can_be_recognised(server, ada, grace):
    for user in (ada, grace):
        await server.connect(user)
    for family in text_string_to_metric_families(await read()):
        if family.name.startswith("doorbell_"):
            for sample in family.samples:
                assert sample.labels.keys() == LABELS.get(sample.name, set())
            assert family.documentation
    assert "ada" not in re.findall(r"\w+", await read())


@pytest.mark.django_db(transaction=True)
async def test_answers_are_counted_by_status():
    async def answer(status):
        async def application(scope, receive, send):
            if status is None:
                raise RuntimeError
            await send({"type": "http.response.start", "status": status})
            await send({"type": "http.response.body"})

        async def send(message):
            pass

        with contextlib.suppress(RuntimeError):
            await AsgiCounting(application)({}, None, send)

    before = await numbers()
    for status in (200, 200, 429, 500, None):
        await answer(status)
    after = await numbers()
    names = {status: f"doorbell_http_requests_total{{{status}}}" for status in (200, 429, 500)}
    counted = {status: after[name] - before.get(name, 0) for status, name in names.items()}
    assert counted == {200: 2, 429: 1, 500: 2}


@pytest.mark.django_db(transaction=True)
async def test_the_pool_and_the_version_are_shown(monkeypatch):
    assert "doorbell_database_pool{idle}" not in await numbers() or connection.vendor == "postgresql"
    pool = Pool(size=20, largest=20, idle=0, waiting=40, waited_seconds=1.5, refused=3)
    monkeypatch.setattr(Database, "pool", pool)
    values = await numbers()
    shown = {
        state: values[f"doorbell_database_pool{{{state}}}"] for state in ("size", "max", "idle", "waiting")
    }
    assert shown == {"size": 20, "max": 20, "idle": 0, "waiting": 40}
    assert values["doorbell_database_pool_refused_total"] == 3
    text = await read()
    assert re.search(r'doorbell_info\{process="[^"]+ \d+",version="\d+\.\d+\.\d+"\} 1\.0', text)


async def test_a_locked_table_is_not_a_database_that_is_away(db_answers, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(metrics, "_oldest_pending", Question(lambda: over.wait(60) and 0.0, None))
    try:
        values = await numbers()
    finally:
        over.set()
    assert values["doorbell_database_up"] == 1
    assert "doorbell_oldest_pending_seconds" not in values


@pytest.fixture
def db_answers(monkeypatch):
    async def answers(self):
        return True

    monkeypatch.setattr(Database, "answers", answers)


@pytest.mark.django_db(transaction=True)
class TestTheToken:
    async def ask(self, **headers):
        return (await AsyncClient().get("/metrics", headers=headers)).status_code

    async def test_without_one_everyone_may_read(self):
        assert await self.ask() == 200
        assert await self.ask(Authorization="Bearer whatever") == 200

    async def test_with_one_only_who_sends_it_may(self, settings):
        settings.METRICS_TOKEN = "secret"
        assert await self.ask(Authorization="Bearer secret") == 200
        for wrong in ("Bearer secre", "Bearer secret1", "Basic secret", "Bearer", "", "Bearer s\u00e9cret"):
            assert await self.ask(Authorization=wrong) == 401
        response = await AsyncClient().get("/metrics")
        assert (response.json()["code"], response["WWW-Authenticate"]) == ("not_signed_in", "Bearer")


async def test_a_database_that_hangs_holds_nothing_up(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(Database, "_query", lambda self: over.wait(60))
    try:
        values = await numbers()
    finally:
        over.set()
    assert values["doorbell_database_up"] == 0
    assert "doorbell_oldest_pending_seconds" not in values


class Loop:
    """A loop whose clock is set by hand."""

    def __init__(self):
        self.now = 100.0
        self.due: Any = None

    def time(self):
        return self.now

    def call_at(self, when, callback, *arguments):
        self.due = callback, arguments

    def turn(self, seconds):
        self.now += seconds
        callback, arguments = self.due
        callback(*arguments)


def test_the_lag_is_the_worst_of_the_last_minute():
    loop: Any = Loop()
    lag = metrics.Lag(loop)
    loop.turn(0.25)
    assert lag.worst() == 0
    loop.turn(0.75)
    assert lag.worst() == 0.5
    for _ in range(4 * 59):
        loop.turn(0.25)
    assert lag.worst() == 0.5
    for _ in range(4 * 70):
        loop.turn(0.25)
    assert lag.worst() == 0
