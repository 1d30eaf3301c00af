"""`check --database` reports ids that JavaScript would round."""

import pytest
from django.db import DatabaseError

from messaging.checks import ids_are_safe_numbers
from messaging.models import Notification
from messaging.users import MAX_SAFE_ID

pytestmark = pytest.mark.django_db


def found():
    return [(warning.id, warning.obj) for warning in ids_are_safe_numbers(databases=["default"])]


def test_the_largest_id_that_javascript_keeps_is_fine():
    assert found() == []
    assert float(MAX_SAFE_ID - 1) != float(MAX_SAFE_ID) != float(MAX_SAFE_ID + 1)
    assert float(MAX_SAFE_ID + 1) == float(MAX_SAFE_ID + 2)


@pytest.mark.parametrize(
    ("largest", "expected"), [(MAX_SAFE_ID, []), (MAX_SAFE_ID + 1, [("messaging.W006", Notification)])]
)
def test_an_id_beyond_it_is_reported(monkeypatch, largest, expected):
    aggregate = type(Notification._base_manager.all()).aggregate

    def of_a_snowflake(self, **kwargs):
        return {"largest": largest} if self.model is Notification else aggregate(self, **kwargs)

    monkeypatch.setattr(type(Notification._base_manager.all()), "aggregate", of_a_snowflake)
    assert found() == expected


def test_without_databases_and_before_the_first_migration_nothing_is_asked(monkeypatch):
    assert ids_are_safe_numbers() == []

    def no_table(self, **kwargs):
        raise DatabaseError("no such table")

    monkeypatch.setattr(type(Notification._base_manager.all()), "aggregate", no_table)
    assert found() == []
