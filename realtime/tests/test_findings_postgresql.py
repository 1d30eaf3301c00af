"""At its start a process compares the pools of all of them with what PostgreSQL allows."""

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from messaging.orm.pools import Pool
from realtime.database import Database
from realtime.db_threads import in_thread
from realtime.models import ServerProcess
from realtime.server import findings

pytestmark = pytest.mark.django_db(transaction=True)


def allowed():
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(("others", "is_warned"), [(3, True), (0, False)])
async def test_too_many_connections_are_named_with_both_numbers(monkeypatch, caplog, others, is_warned):
    most = await in_thread(allowed)

    def create():
        for number in range(others):
            ServerProcess.objects.create(name=f"web{number}", lease_until=Now() + timedelta(minutes=1))
        ServerProcess.objects.create(name="dead", lease_until=Now() - timedelta(minutes=1))

    await in_thread(create)
    monkeypatch.setattr(Database, "pool", property(lambda self: Pool(2, most // 3, 2, 0)))
    caplog.set_level(logging.WARNING, findings.logger.name)
    await findings.report()
    found = [record.getMessage() for record in caplog.records if "max_connections" in record.getMessage()]
    assert bool(found) is is_warned
    if is_warned:
        assert found[0].startswith(f"4 server processes may need {4 * (most // 3 + 2)} connections, ")
