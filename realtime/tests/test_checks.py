"""Each check has an id and a hint, and reports nothing for right settings."""

import pytest
from channels.layers import InMemoryChannelLayer
from django.conf import settings as project_settings
from django.core.checks import run_checks
from django.core.checks.registry import registry

from messaging.tests.pasting import paste
from realtime import checks
from realtime.default_layer import get_channel_layer
from realtime.presence import leases, writer

KEY = "xY7_" * 20
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


# A key isn't for the settings, and the right value of a setting is the project's to know.
NOT_PASTED = {"realtime.E003", "realtime.E004"}


def layer(backend, prefix="production", **host):
    config = {"prefix": prefix, "hosts": [{"address": "redis://redis:6379/0", **host}]}
    return {"default": {"BACKEND": backend, "CONFIG": config}}


@pytest.fixture
def production(settings):
    settings.DEBUG = False
    settings.SECRET_KEY = KEY
    settings.ALLOWED_HOSTS = ["doorbell.example"]
    settings.CHANNEL_LAYERS = layer(PUBSUB, socket_timeout=1)
    return settings


def found(databases=None):
    return [message for message in run_checks(databases=databases) if str(message.id).startswith("realtime.")]


def ids(databases=None):
    messages = found(databases)
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_nothing_is_wrong_with_production(production):
    assert ids() == []


@pytest.mark.parametrize("layers", [{}, None])
def test_without_a_layer_ours_is_in_memory(production, layers):
    production.CHANNEL_LAYERS = layers
    assert ids() == ["realtime.W001"]
    production.DEBUG = True
    assert ids() == []
    assert isinstance(get_channel_layer(), InMemoryChannelLayer)
    assert get_channel_layer() is get_channel_layer()


def test_nothing_is_wrong_with_development(settings):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    settings.SECRET_KEY = checks.DEVELOPMENT_KEY
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": checks.IN_MEMORY, "CONFIG": {}}}
    assert ids() == []


@pytest.mark.parametrize(
    ("expected", "changes"),
    {
        "realtime.E001": {"CHANNEL_LAYERS": {"other": {"BACKEND": checks.IN_MEMORY}}},
        "realtime.W001": {"CHANNEL_LAYERS": {"default": {"BACKEND": checks.IN_MEMORY}}},
        "realtime.W002": {"CHANNEL_LAYERS": layer(checks.CORE, socket_timeout=30)},
        "realtime.W003": {"CHANNEL_LAYERS": layer(PUBSUB, socket_timeout=15)},
        "realtime.W004": {"CHANNEL_LAYERS": layer(PUBSUB, prefix="doorbell", socket_timeout=1)},
        "realtime.W005": {"ALLOWED_HOSTS": ["doorbell.example", "*"]},
        "realtime.E003": {"SECRET_KEY": checks.DEVELOPMENT_KEY + "-not-for-production"},
        "realtime.E004": {"REALTIME_MAX_CONNECTIONS_PER_USER": 0},
        "realtime.W006": {"REALTIME_LEASE_SECONDS": 2},
        "realtime.W007": {"REALTIME_LEASE_SECONDS": 30},
        "realtime.W008": {"REALTIME_OFFLINE_GRACE_SECONDS": 21},
        "realtime.W009": {"REALTIME_HEARTBEAT_SECONDS": 60},
        "realtime.W010": {"REALTIME_RECHECK_SECONDS": 31},
    }.items(),
)
def test_a_mistake_is_found_by_its_id(production, expected, changes):
    for name, value in changes.items():
        setattr(production, name, value)
    assert ids() == [expected]
    if expected not in NOT_PASTED:
        [message] = found()
        paste(message.hint, production)
        assert ids() == []


@pytest.mark.parametrize("host", [{}, {"socket_timeout": None}, {"socket_timeout": 5}])
def test_the_core_layer_needs_a_long_socket_timeout(production, host):
    production.CHANNEL_LAYERS = layer(checks.CORE, **host)
    assert ids() == ["realtime.W002", "realtime.E002"]
    for message in found():
        paste(message.hint, production)
    assert ids() == []


def test_a_hint_keeps_the_projects_other_layers(production):
    production.CHANNEL_LAYERS = {
        "chat": {"BACKEND": checks.IN_MEMORY},
        **layer(checks.CORE, socket_timeout=30),
    }
    [message] = found()
    paste(message.hint, production)
    assert ids() == []
    assert production.CHANNEL_LAYERS["chat"] == {"BACKEND": checks.IN_MEMORY}


def test_a_missing_key_is_an_error_and_no_traceback(production):
    production.SECRET_KEY = ""
    assert "realtime.E003" in ids()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWEEP_SECONDS", 0),
        ("HEARTBEAT_SECONDS", 0),
        ("RECHECK_SECONDS", -1),
        ("LEASE_SECONDS", 0),
        ("OFFLINE_GRACE_SECONDS", -1),
        ("MAX_CONNECTIONS_PER_USER", -1),
    ],
)
def test_an_impossible_number_is_an_error(production, name, value):
    setattr(production, f"REALTIME_{name}", value)
    assert "realtime.E004" in ids()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("SWEEP_SECONDS", "15", "Use a number of seconds, at least 0.01."),
        ("LEASE_SECONDS", "soon", "Use a number of seconds, at least 0.01."),
        ("HEARTBEAT_SECONDS", 2.5, "Use a whole number of seconds, at least 1."),
        ("HEARTBEAT_SECONDS", True, "Use a whole number of seconds, at least 1."),
        ("RELAY", "no", "Use True or False."),
        ("ORIGINS", "https://app.example.com", "Use a list of origins such as https://app.example.com."),
        ("ORIGINS", ["https://app.example.com/"], "Use a list of origins such as https://app.example.com."),
    ],
)
def test_a_wrong_type_is_an_error_and_the_only_one(production, name, value, hint):
    setattr(production, f"REALTIME_{name}", value)
    assert ids() == ["realtime.E004"]
    [error] = checks.values()
    assert (error.msg, error.hint) == (f"REALTIME_{name} is {value!r}.", hint)


def test_the_copies_of_other_modules_constants_are_right():
    assert checks.SERVER_CLOSED_GRACE_SECONDS == writer.SERVER_CLOSED_GRACE_SECONDS
    if project_settings.DEBUG:
        assert project_settings.SECRET_KEY.startswith(checks.DEVELOPMENT_KEY)


def test_several_processes_each_with_a_layer_in_memory_are_found(db, production):
    production.CHANNEL_LAYERS = {"default": {"BACKEND": checks.IN_MEMORY, "CONFIG": {}}}
    leases.register()
    assert ids(databases=["default"]) == ["realtime.W001"]
    leases.register()
    assert set(ids(databases=["default"])) == {"realtime.W001", "realtime.W011"}
    assert ids() == ["realtime.W001"]
    production.CHANNEL_LAYERS = layer(PUBSUB, socket_timeout=1)
    assert ids(databases=["default"]) == []


@pytest.mark.parametrize(("named", "found"), [("", []), ("127.0.0.1", []), ("*", ["realtime.W012"])])
def test_proxies_are_named(production, monkeypatch, named, found):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", named)
    assert [message.id for message in checks.trusted_proxies()] == found
    assert checks.trusted_proxies in registry.get_checks(include_deployment_checks=True)
    assert checks.trusted_proxies not in registry.get_checks()


def test_a_misspelt_setting_is_named_with_the_similar_one(production):
    production.REALTIME_SWEEP = 3
    (warning,) = found()
    assert warning.id == "realtime.W013"
    assert warning.msg == "There is no setting REALTIME_SWEEP; it has no effect."
    assert warning.hint == "Is REALTIME_SWEEP_SECONDS meant?"
