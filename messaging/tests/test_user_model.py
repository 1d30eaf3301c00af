"""Which user models are supported, and that one module alone knows the project's. Real ones: tests/hosts."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import models

from messaging import checks, users

ROOT = Path(users.__file__).parents[1]
# How the user model is read past messaging/users.py.
PAST_IT = re.compile(
    r"get_user_model|\bUser\.objects|\bUser\._|is_active=|\.is_active\b(?!\()|__is_active|\.USERNAME_FIELD|get_username"
)


def user_model(key, **fields):
    meta = SimpleNamespace(pk=key, get_field=fields.__getitem__)
    return SimpleNamespace(USERNAME_FIELD="email", _meta=meta)


KEYS = [models.AutoField, models.BigAutoField, models.IntegerField, models.UUIDField, models.CharField]


@pytest.mark.parametrize("key", KEYS)
def test_users_with_keys_of_any_type_are_served(monkeypatch, key):
    monkeypatch.setattr(users, "model", lambda: user_model(key(primary_key=True, max_length=255)))
    assert checks.user_key() == []


@pytest.mark.parametrize("key", [models.BinaryField, models.FloatField, models.JSONField])
def test_keys_that_have_no_one_text_are_an_error(monkeypatch, key):
    monkeypatch.setattr(users, "model", lambda: user_model(key(primary_key=True)))
    [error] = checks.user_key()
    assert error.id == "messaging.E002"


def test_the_key_of_a_child_model_is_its_parents(monkeypatch):
    link = models.OneToOneField(User, models.CASCADE, parent_link=True, primary_key=True)
    link.remote_field.field_name, link.remote_field.model = "id", User
    monkeypatch.setattr(users, "model", lambda: user_model(link))
    assert users.key_field() is User._meta.pk
    assert checks.user_key() == []


def test_only_one_module_knows_the_user_model():
    files = [file for app in ("messaging", "realtime") for file in (ROOT / app).rglob("*.py")]
    sources = [file for file in files if not {"tests", "migrations"} & set(file.parts)]
    found = {
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in sources
        for line in file.read_text().splitlines()
        if PAST_IT.search(line)
    }
    known = {line for line in found if line.startswith("messaging/users.py:")}
    # Examples of a caller's code.
    examples = {
        line for line in found if re.search(r"(notify_many|broadcast)\(User\.objects\.filter\(", line)
    }
    assert found - known - examples == set()
    assert known
