"""A project's own user model: which ones are supported, and the check for the others."""

from types import SimpleNamespace

import pytest
from django.db import connection, models

from messaging import checks
from messaging.orm import sql


def user_model(key, **names):
    fields = {name: SimpleNamespace(column=column) for name, column in names.items()}
    meta = SimpleNamespace(pk=key, db_table="user", get_field=fields.__getitem__)
    return SimpleNamespace(USERNAME_FIELD="email", _meta=meta)


@pytest.mark.parametrize("key", [models.AutoField, models.BigAutoField, models.IntegerField])
def test_users_with_integer_keys_are_served(monkeypatch, key):
    monkeypatch.setattr(checks, "get_user_model", lambda: user_model(key(primary_key=True)))
    assert checks.user_model() == []


@pytest.mark.parametrize("key", [models.UUIDField, models.CharField])
def test_users_with_other_keys_are_an_error(monkeypatch, key):
    monkeypatch.setattr(checks, "get_user_model", lambda: user_model(key(primary_key=True)))
    [error] = checks.user_model()
    assert error.id == "messaging.E002"


def test_tables_and_columns_may_have_a_keywords_name(db, monkeypatch):
    own = user_model(SimpleNamespace(column="group"), email="order")
    monkeypatch.setattr(sql, "get_user_model", lambda: own)
    with connection.cursor() as cursor:
        cursor.execute('CREATE TEMPORARY TABLE "user" ("group" integer, "order" varchar(20))')
        cursor.execute("""INSERT INTO "user" VALUES (7, 'ada')""")
        cursor.execute(f"SELECT {sql.actor_name()} FROM (SELECT 7 AS actor_id) n {sql.join_actor('n')}")
        assert cursor.fetchall() == [("ada",)]
        cursor.execute('DROP TABLE "user"')
