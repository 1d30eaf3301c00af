"""The unit tests of both apps, under user models of a project's own: those whose names are called `username`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import size
from tests.hosts import user_models
from tests.hosts.user_models import MANAGER, USER_MODELS
from tests.live.servers import ROOT

SETTINGS = """
from config.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "people"]
AUTH_USER_MODEL = "people.Account"
"""
# The tests import `User` from Django, and make many at once.
APP = """
from django.apps import AppConfig
from django.db.models import AutoField
class PeopleConfig(AppConfig):
    name = "people"
    default_auto_field = "django.db.models.BigAutoField"
    def ready(self):
        from django.contrib.auth import get_user_model, models
        models.User = get_user_model()
        if models.User._meta.parents or not isinstance(models.User._meta.pk, AutoField):
            # Django refuses it for several tables, and makes no keys. As there, no receiver is called.
            type(models.User._default_manager).bulk_create = create_many
def create_many(manager, users, **options):
    from messaging.signals import receivers_muted
    with receivers_muted():
        return [user.save() or user for user in users]
"""
# Ids below 2^53 are numbers on the wire, as these tests have it.
LARGE_KEYS = user_models.LARGE_KEYS.replace("2**53", "2**33")
NAMES = ["soft deletion", "child of a model", "proxy", "proxies and children beside it"]
KINDS = {name: USER_MODELS[name].models for name in NAMES} | {"large keys": LARGE_KEYS}
TESTS = ["messaging/tests", "realtime/tests"]
# In `make test`.
FEW = [
    "messaging/tests/test_api.py",
    "messaging/tests/test_user_deletion.py",
    "realtime/tests/test_recheck.py",
]
SECONDS = 3600
# What is about Django's own user model: its label, its one table, its key `id`, its pages in the admin
# (test_user_models.py opens ours).
OTHERWISE = [
    "messaging/tests/test_checks.py::test_reads_elsewhere_than_from_default_are_an_error",
    "messaging/tests/test_large_ids.py::test_the_largest_id_that_javascript_keeps_is_fine",
    "messaging/tests/test_signals_muted.py::test_fixtures_that_are_loaded_are_left_alone",
    "messaging/tests/test_owners.py::test_a_user_whose_own_id_changes_keeps_the_rows",
    "messaging/tests/test_references.py::test_what_is_no_user_is_refused",
    "messaging/tests/test_references.py::test_another_models_row_is_refused_although_it_has_a_users_id",
    "messaging/tests/test_user_model.py::test_the_key_of_a_child_model_is_its_parents",
    "realtime/tests/test_admin.py::test_a_user_who_is_connected_can_be_deleted",
    # In a process of its own, with this repository's settings.
    "realtime/tests/test_relay.py::test_after_a_fork_parent_and_child_have_a_relay_and_connections_each",
]
# A fixture doesn't call the model's `save`, which makes the keys.
DUMP = "messaging/tests/test_repair.py::test_a_dump_by_natural_keys_is_loaded_into_a_database_of_other_ids"
OTHERWISE_FOR = {"large keys": [DUMP]}
ADMIN = "messaging/tests/test_admin*.py"


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("kind", list(KINDS)[: size(1, full=len(KINDS))])
def test_units(kind: str, tmp_path: Path) -> None:
    for name, text in {
        "own_settings.py": SETTINGS,
        "people/__init__.py": "",
        "people/apps.py": APP,
        "people/models.py": MANAGER + KINDS[kind],
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    run(tmp_path, "manage.py", "makemigrations", "people")
    names = [*OTHERWISE, *OTHERWISE_FOR.get(kind, [])]
    left_out = [f"--ignore-glob={ADMIN}", *(f"--deselect={name}" for name in names)]
    tests = FEW if size(0, full=1) == 0 else TESTS
    run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=own_settings", *left_out, *tests)


def run(folder: Path, *arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "own_settings"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-20_000:]
