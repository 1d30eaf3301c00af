"""A database that answers and lacks tables: every caller is told to migrate, and none that the database is away."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection

from messaging import notifications
from messaging.orm import tables
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db
BEFORE_MIGRATE = [
    "notify ada Hello",
    "create_api_token program",
    "check_inboxes",
    "prune_notifications --days 3",
]


def drop(table):
    """Undone with the test's transaction."""
    connection.check_constraints()  # PostgreSQL drops no table of which checks are to come
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {table}{' CASCADE' if connection.vendor == 'postgresql' else ''}")


def test_the_api_answers_503_that_names_migrate(caplog):
    drop("messaging_apitoken")
    response = ApiClient()("GET", "notifications", Authorization="Bearer doorbell_x")
    assert refusal(response) == (503, "unmigrated")
    assert response.json()["detail"] == tables.WHAT_TO_DO
    assert response["Retry-After"] == "1"
    (record,) = [record for record in caplog.records if record.name == "messaging.api.errors"]
    assert record.levelname == "ERROR"
    assert "messaging_apitoken" in record.getMessage()
    assert "manage.py migrate" in record.getMessage()
    assert "unavailable" not in record.getMessage()


def test_the_error_of_notify_ends_with_what_is_to_be_done(ada):
    drop("messaging_notification")
    with pytest.raises(DatabaseError, match="messaging_notification") as raised:
        notifications.notify(ada, "announcement", "Hello")
    assert raised.value.__notes__ == [tables.WHAT_TO_DO]


@pytest.mark.parametrize("line", BEFORE_MIGRATE)
def test_a_command_says_so_in_a_sentence(ada, line):
    for table in ("messaging_notification", "messaging_apitoken", "messaging_inbox"):
        drop(table)
    with pytest.raises(CommandError, match=r"run `manage\.py migrate`"):
        call_command(*line.split(), stdout=io.StringIO(), stderr=io.StringIO())


def test_a_command_without_a_database_ends_with_a_sentence(ada, monkeypatch):
    def fail(*arguments, **options):
        raise OperationalError("connection refused")

    monkeypatch.setattr("messaging.notifications.notify", fail)
    with pytest.raises(CommandError, match="The database doesn't answer: connection refused"):
        call_command("notify", "ada", "Hello")


def test_an_error_of_another_kind_is_explained_to_nobody():
    error = OperationalError("server closed the connection unexpectedly")
    tables.explain(error)
    assert not hasattr(error, "__notes__")
    assert tables.what_failed(error) == "database unavailable"
    assert "migrate" in tables.what_failed(OperationalError("no such table: messaging_inbox"))
