"""LOG_FORMAT=json: one object a line, with the fields that one searches for, and without local variables."""

import json
import logging

import pytest

from config.environment import Environment
from config.logs import JsonFormatter
from realtime import request_id

NAME = "messaging.test"


def formatted(text, *arguments, level=logging.INFO, exc_info=None):
    record = logging.LogRecord(NAME, level, "x.py", 1, text, arguments, exc_info)
    line = JsonFormatter().format(record)
    assert line.isprintable()
    assert line.isascii()
    return json.loads(line)


def test_a_record_is_one_object():
    found = formatted("could not join: user %s: %r", 7, OSError("away"), level=logging.WARNING)
    assert found.pop("timestamp").endswith("Z")
    assert found.pop("process")
    assert found == {"level": "warning", "logger": NAME, "event": "could not join: user 7: OSError('away')"}


def test_named_arguments_are_fields_and_no_field_of_its_own_is_overwritten():
    found = formatted(
        "pushed: user=%(user)s", {"user": 7, "revision": 3, "event": "forged", "level": "forged"}
    )
    assert (found["user"], found["revision"], found["event"], found["level"]) == (
        7,
        3,
        "pushed: user=7",
        "info",
    )


def test_the_request_is_a_field():
    with request_id.bound("abc"):
        assert formatted("saved")["request"] == "abc"
    assert "request" not in formatted("saved")


@pytest.mark.parametrize("mark", ["\n", "\x1b[2J", "\u2028", "\u202e", "\ud800", "\0"])
def test_no_text_of_a_clients_ends_the_line(mark):
    assert formatted(f"name {mark}forged")["event"] == f"name {mark}forged"


def test_a_traceback_is_a_text_without_local_variables():
    private = "for-graces-eyes"
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int(private[:0])
    found = formatted("failed", exc_info=raised._excinfo)
    assert found["exception"].startswith("Traceback")
    assert private not in json.dumps(found)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "text"),
        ({"DEBUG": "False"}, "json"),
        ({"DEBUG": "False", "LOG_FORMAT": "text"}, "text"),
        ({"LOG_FORMAT": "json"}, "json"),
    ],
)
def test_json_is_the_default_in_production(variables, expected):
    assert Environment(variables).log_format == expected
