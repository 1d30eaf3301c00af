"""What is optional isn't imported by the rest, and the error where it is missing says how to install it."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from channels.layers import channel_layers
from django.apps import apps
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from messaging import extras
from messaging.apps import MessagingConfig

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LAYERS = {
    "default": {"BACKEND": "realtime.channel_layer.GuardedRedisLayer", "CONFIG": {"hosts": ["redis://x"]}}
}


@pytest.fixture
def without(monkeypatch):
    """Have modules seem not to be installed."""

    def remove(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return remove


def test_each_extra_of_the_distribution_names_its_modules():
    assert {*extras.MODULES} == {*PROJECT["optional-dependencies"]}
    assert [extras.missing(extra, "it") for extra in extras.MODULES] == [""] * len(extras.MODULES)


@pytest.mark.parametrize("extra", extras.MODULES)
def test_each_missing_module_is_named_with_its_extra(without, extra):
    for name in extras.MODULES[extra]:
        without(name)
        assert name in extras.missing(extra, "it")
    assert f"pip install django-doorbell[{extra}]" in extras.missing(extra, "it")


def test_serve_without_its_server_says_what_to_install(without):
    without("uvicorn", "websockets")
    text = r"^manage.py serve needs uvicorn, websockets, .* pip install django-doorbell\[server\]$"
    with pytest.raises(CommandError, match=text):
        call_command("serve", skip_checks=True)


def test_a_layer_on_redis_without_its_client_says_what_to_install(without, settings):
    without("channels_redis")
    settings.CHANNEL_LAYERS = LAYERS
    with pytest.raises(
        ImproperlyConfigured, match=r"channels_redis, .* pip install django-doorbell\[redis\]"
    ):
        channel_layers["default"]
    [error] = [message for message in run_checks() if message.id == "realtime.E005"]
    assert "pip install django-doorbell[redis]" in error.msg
    # The processes start; only what needs the layer fails.
    apps.get_app_config("realtime").ready()


@pytest.mark.parametrize("engine", ["django.db.backends.postgresql", "django.db.backends.sqlite3"])
def test_postgresql_without_a_driver_says_what_to_install(without, monkeypatch, engine):
    without("psycopg", "psycopg2")
    databases = {"default": {"ENGINE": engine}}
    monkeypatch.setattr("messaging.apps.settings", SimpleNamespace(DATABASES=databases))
    module = apps.get_app_config("messaging").module
    if engine.endswith("sqlite3"):
        MessagingConfig("messaging", module)
        return
    with pytest.raises(
        ImproperlyConfigured, match=r"PostgreSQL needs psycopg, .* django-doorbell\[postgres\]"
    ):
        MessagingConfig("messaging", module)


IMPORT_ALL = """
import importlib, pkgutil, sys
for name in {absent!r}:
    sys.modules[name] = None
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF="realtime.urls", DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3"}}}},
    CHANNEL_LAYERS={{"default": {{"BACKEND": "channels.layers.InMemoryChannelLayer"}}}},
    INSTALLED_APPS=["django.contrib." + name for name in ("admin", "auth", "contenttypes", "sessions", "messages")]
    + ["channels", "ninja", "messaging", "realtime"],
)
django.setup()
import messaging, realtime
for package in (messaging, realtime):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith({optional!r}) and ".tests" not in module.name:
            importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith(("messaging.", "realtime."))]))
"""
# What these extras are for: they are imported when they are used.
OPTIONAL = (
    "realtime.server.",
    "realtime.channel_layer.",
    "realtime.outbound.redis_publisher",
    "realtime.redis_client",
)
NEVER = ("pytest", "environ", "csp", "servestatic", "httpx", "hypothesis", "config", "tests")


def test_all_the_rest_is_imported_without_any_extra_or_test_tool():
    absent = [*NEVER, *(name for names in extras.MODULES.values() for name in names)]
    code = IMPORT_ALL.format(absent=absent, optional=OPTIONAL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100
