"""manage.py doorbell_status: its four answers, and its exit code."""

import io
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now

from messaging import notifications
from messaging.models import Inbox
from messaging.sequencing import assign_revisions
from messaging.tests.rows import raw_insert
from realtime import database, redis_hosts, timeline
from realtime.conf import conf
from realtime.default_layer import get_channel_layer
from realtime.management import status as status_module
from realtime.models import ServerProcess, Timeline
from realtime.presence import leases
from realtime.presence.leases import Opened
from realtime.version import version

pytestmark = pytest.mark.django_db(transaction=True)


def shown(*options: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("doorbell_status", *options, stdout=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def found() -> dict[str, Any]:
    code, text = shown("--json")
    answer: dict[str, Any] = json.loads(text)
    assert answer["ok"] is (code == 0), text
    return answer


@pytest.fixture
def process(ada, monkeypatch):
    """A server process with two sockets of ada's, which listens if the layer is Redis."""
    process_id = leases.register()
    leases.record(process_id, [Opened(f"{number:032x}", ada.pk, "x") for number in (1, 2)])
    monkeypatch.setattr(status_module, "_read_layer", lambda status: None)
    return process_id


def test_all_is_well(process, ada):
    notifications.notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    code, text = shown()
    assert code == 0, text
    assert text.startswith(f"Doorbell {version()}: all is well\n")
    assert "connected  1 users, 2 sockets\n" in text
    assert "late       0 pending, the oldest for 0.0 s\n" in text
    assert "inboxes    right, 1 of 1 checked\n" in text
    [shown_process] = found()["processes"]
    assert (shown_process["version"], shown_process["sockets"]) == (version(), 2)


def test_no_server_runs(process):
    ServerProcess.objects.update(lease_until=Now() - timedelta(seconds=1))
    [problem] = found()["problems"]
    assert "no server process" in problem
    assert found()["sockets"] == 0


def test_something_is_late(process, ada, monkeypatch):
    # No event announces it, so nothing numbers it here.
    raw_insert(ada)
    monkeypatch.setattr("messaging.inboxes.oldest_pending_seconds", lambda: 300.0)
    answer = found()
    assert answer["pending"] == 1
    assert answer["oldest_pending_seconds"] > 290
    assert "not delivered" in answer["problems"][0]


def test_an_inbox_is_wrong(process, ada):
    notifications.notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    Inbox.objects.update(unread_count=7)
    assert found()["wrong_inboxes"] == [ada.pk]
    code, text = shown("--all-inboxes")
    assert code == 1
    assert f"WRONG, 1 of 1 checked: users {ada.pk}" in text
    # It only looks.
    assert Inbox.objects.get().unread_count == 7


def test_the_database_is_older_than_what_servers_have_seen(process, monkeypatch):
    timeline.begin()
    row = Timeline.objects.get()
    monkeypatch.setattr(timeline, "_read_redis", lambda: {row.name: row.seen_at + timedelta(seconds=60)})
    assert "manage.py after_restore" in found()["problems"][0]
    assert Timeline.objects.get().seen_at == row.seen_at


def test_migrations_are_missing(process, monkeypatch):
    monkeypatch.setattr("messaging.orm.tables.unapplied", lambda *args: ["messaging.0099_next"])
    answer = found()
    assert "messaging.0099_next" in answer["problems"][0]
    assert answer["users"] is None


def test_the_database_is_away(process, monkeypatch):
    class Away:
        vendor = "sqlite"

        def cursor(self):
            raise OSError("connection refused")

        def close(self):
            pass

    monkeypatch.setattr(status_module, "own_connection", Away)
    assert database.own_connection is not Away
    code, text = shown()
    assert code == 1
    assert "the database doesn't answer: connection refused" in text
    assert "connected  unknown users" in text


def test_the_layer_is_asked_itself(ada):
    leases.record(leases.register(), [Opened(f"{1:032x}", ada.pk, "x")])
    answer = found()
    if redis_hosts.clients(get_channel_layer()):
        assert answer["layer"] == "Redis ok"
        # Nothing has subscribed in this test.
        assert "0 listen in Redis" in answer["problems"][0]
    else:
        assert answer["layer"] == "InMemoryChannelLayer, not asked"
        assert answer["problems"] == []


def test_redis_is_away(process, monkeypatch):
    monkeypatch.undo()
    from realtime.redis_client import redis_client

    away = redis_client({"host": "127.0.0.1", "port": 1})
    monkeypatch.setattr(redis_hosts, "clients", lambda layer: [away])
    answer = found()
    assert answer["layer"] == "Redis away"
    assert "none is lost" in answer["problems"][0]


def test_it_is_shown_again_until_it_is_interrupted(process, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        ServerProcess.objects.update(lease_until=F("lease_until") - timedelta(hours=1))
        if len(pauses) == 2:
            raise KeyboardInterrupt

    # The command's alone: the relay's thread sleeps, too.
    monkeypatch.setattr("realtime.management.commands.doorbell_status.time", SimpleNamespace(sleep=sleep))
    code, text = shown("--watch")
    assert pauses == [2.0, 2.0]
    assert text.count("connected ") == 2
    assert code == 1


def test_a_process_that_was_killed_is_named_before_its_lease_ends(process):
    left = conf.lease_seconds / 3
    ServerProcess.objects.update(lease_until=Now() + timedelta(seconds=left))
    [problem] = found()["problems"]
    assert problem.startswith("the server process ")
    assert f" hasn't renewed its lease for {conf.lease_seconds - left:.0f} s: killed, or " in problem
    assert problem.endswith(f"In {left:.0f} s its 2 sockets count as closed")
