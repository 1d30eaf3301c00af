"""The tables of settings: what an environment variable may be, and the files that must agree with them."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import ComposeVariables, Environment
from messaging.setting_types import Setting
from realtime.conf import Conf, conf

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
ROWS = {row.name: row for row in Environment.rows() + Conf.rows() + ComposeVariables.rows()}
# Set in the example, for production's sake, to something else than the default.
SET = {
    "SECRET_KEY",
    "DEBUG",
    "HSTS_SECONDS",
    "REALTIME_PREFIX",
    "POSTGRES_PASSWORD",
    "SITE_ADDRESS",
}
# Without a default to show, these lines show the form.
FORMS = {"DATABASE_URL", "REDIS_URL"}


def example(prefix: str) -> dict[str, str]:
    return dict(re.findall(rf"^{prefix}([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_every_row_says_what_it_means_and_accepts_and_has_a_valid_default(row):
    assert row.meaning.endswith(".")
    assert row.accepts
    table = conf if row.name.startswith("REALTIME_") else Environment({})
    assert row.is_valid(row.default_in(table))


def test_the_example_knows_every_variable_and_no_other():
    assert example("").keys() == SET
    assert example("").keys() | example("# ").keys() == ROWS.keys()


def test_what_the_example_comments_out_is_the_default_in_production(settings, monkeypatch):
    monkeypatch.setattr(Conf, "is_testing", False)
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "realtime.channel_layer.GuardedRedisLayer"}}
    production = Environment({"DEBUG": "False", "TRUST_PROXY": "True"})
    for name, text in example("# ").items():
        if name not in FORMS:
            row = ROWS[name]
            default = row.default_in(conf if row in Conf.rows() else production)
            assert row.from_environment(text) == default, name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("REALTIME_SWEEP_SECONDS", "0.5", 0.5),
        ("REALTIME_MAX_CONNECTIONS_PER_USER", "3", 3),
        ("REALTIME_RELAY", "OFF", False),
        ("DEBUG", "yes", True),
        ("ALLOWED_HOSTS", "a.example, b.example,", ["a.example", "b.example"]),
        (
            "REALTIME_ORIGINS",
            "https://App.example.com,http://[::1]:8000",
            ["https://App.example.com", "http://[::1]:8000"],
        ),
        ("REALTIME_ORIGINS", "", []),
        (
            "DATABASE_URL",
            "postgres://ada:se[cret@[::1]:5432/doorbell",
            "postgres://ada:se[cret@[::1]:5432/doorbell",
        ),
        ("REDIS_URL", "", ""),
        ("SECRET_KEY", "$not-a-reference", "$not-a-reference"),
    ],
)
def test_a_variable_is_read_by_its_type(name, text, value):
    read = ROWS[name].from_environment(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("REALTIME_SWEEP_SECONDS", "soon", "a number of seconds, at least 0.01"),
        ("REALTIME_SWEEP_SECONDS", "", "a number of seconds, at least 0.01"),
        ("REALTIME_SWEEP_SECONDS", "0", "a number of seconds, at least 0.01"),
        ("REALTIME_LEASE_SECONDS", "nan", "a number of seconds, at least 0.01"),
        ("REALTIME_LEASE_SECONDS", "1e3", "a number of seconds, at least 0.01"),
        ("REALTIME_DRAIN_SECONDS", "3601", "a number of seconds from 0 to 3600"),
        ("HSTS_SECONDS", "-1", "a whole number of seconds, at least 0"),
        ("REALTIME_HEARTBEAT_SECONDS", "2.5", "a whole number of seconds, at least 1"),
        ("REALTIME_RELAY", "perhaps", "True or False"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        (
            "REALTIME_ORIGINS",
            "https://app.example.com/",
            "origins such as https://app.example.com, separated by commas",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_what_is_accepted(name, text, accepted):
    with pytest.raises(ImproperlyConfigured) as refused:
        ROWS[name].from_environment(text)
    assert str(refused.value) == f"{name} is {text!r}: use {accepted}."


def test_an_address_with_a_password_is_not_shown():
    with pytest.raises(ImproperlyConfigured) as refused:
        ROWS["DATABASE_URL"].from_environment("mysql://ada:secret@host/doorbell")
    assert (
        str(refused.value) == "DATABASE_URL is not valid: use postgres://… or postgresql://… or sqlite://…."
    )


def test_a_database_address_that_came_out_empty_does_not_mean_the_default():
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL is not valid"):
        ROWS["DATABASE_URL"].from_environment("")
    assert ROWS["REDIS_URL"].from_environment("") == ""
    assert ROWS["DATABASE_URL"].from_environment("POSTGRES://u@h/d") == "POSTGRES://u@h/d"


def test_defaults_follow_other_variables():
    development, production = Environment({}), Environment({"DEBUG": "False"})
    assert (development.demo, production.demo) == (True, False)
    assert (development.secure_cookies, production.secure_cookies) == (False, True)
    assert (bool(development.secret_key), production.secret_key) == (True, "")
    assert not production.secure_ssl_redirect
    assert Environment({"DEBUG": "False", "TRUST_PROXY": "1"}).secure_ssl_redirect
    assert Environment({"SECRET_KEY": "key"}).secret_key == "key"


def test_a_table_without_an_instance_gives_its_rows():
    assert isinstance(Conf.sweep_seconds, Setting)
    assert Conf.sweep_seconds.name == "REALTIME_SWEEP_SECONDS"
