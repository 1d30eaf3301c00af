"""No text of a client's is a line of the log by itself, and no refused request is an error of the server's."""

import io
import logging
import threading

import pytest
from django.test import Client

from realtime.log_records import OneLineFormatter

FORGED = "2026-01-01 00:00:00,000 CRITICAL root: forged"
HOSTILE = [
    "\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x1b[2J",
    "\x85",
    "\x9b2J",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ud800",
    "\0",
]


@pytest.fixture
def log(monkeypatch):
    """What the project's console handler writes. Of this thread: one of an earlier test may log, too."""
    [console] = [one for one in logging.getLogger().handlers if isinstance(one.formatter, OneLineFormatter)]
    stream = io.StringIO()
    monkeypatch.setattr(console, "stream", stream)
    # (After the handler's own filters, which change a record's level.)
    monkeypatch.setattr(
        console, "filters", [*console.filters, lambda record: record.thread == threading.get_ident()]
    )
    return stream


@pytest.mark.parametrize("mark", HOSTILE)
def test_a_message_is_one_line_of_printable_characters(log, mark):
    logging.getLogger("messaging.test").warning("name %s", f"ada{mark}{FORGED}")
    text = log.getvalue()
    assert text.endswith(f"{FORGED}\n")
    assert text[:-1].isprintable()
    assert " WARNING messaging.test: name ada\\" in text


@pytest.mark.parametrize("mark", HOSTILE)
def test_a_traceback_has_its_lines_indented(log, mark):
    try:
        raise ValueError(f"title{mark}{FORGED}")
    except ValueError:
        logging.getLogger("messaging.test").exception("failed", stack_info=True)
    first, *rest = log.getvalue().splitlines()
    assert first.endswith(" ERROR messaging.test: failed")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_what_another_formatter_has_made_of_a_traceback_is_not_written(log):
    record = logging.LogRecord("messaging.test", logging.ERROR, "x.py", 1, "failed", (), None)
    record.exc_text = FORGED
    logging.getLogger().handle(record)
    assert FORGED not in log.getvalue()


def test_ordinary_text_stays_as_it_is(log):
    logging.getLogger("messaging.test").info("Grüße an Ωmega 👋")
    assert log.getvalue().endswith(" INFO messaging.test: Grüße an Ωmega 👋\n")


@pytest.mark.parametrize("path", ["/", "/admin/", "/api/v1/presence", "/nothing"])
def test_a_foreign_host_is_one_line_at_info(log, settings, path):
    settings.DEBUG = False
    assert Client(headers={"Host": "evil.example"}).get(path).status_code == 400
    (line,) = log.getvalue().splitlines()
    assert " INFO django.security.DisallowedHost: Invalid HTTP_HOST header: 'evil.example'" in line


def test_two_hosts_are_one_line_too(log, settings):
    settings.DEBUG = False
    assert Client(headers={"Host": "localhost,evil.example"}).get("/").status_code == 400
    assert len(log.getvalue().splitlines()) == 1


def test_a_missing_csrf_token_is_one_line_at_info(log, db):
    client = Client(enforce_csrf_checks=True)
    assert client.post("/admin/login/", {"username": "ada"}).status_code == 403
    (line,) = log.getvalue().splitlines()
    assert " INFO django.security.csrf: Forbidden" in line


def test_with_a_higher_level_such_lines_are_not_written(log, settings, caplog):
    settings.DEBUG = False
    caplog.set_level(logging.WARNING)
    Client(headers={"Host": "evil.example"}).get("/")
    assert log.getvalue() == ""


def test_a_503_is_not_logged_a_second_time(log, db, monkeypatch):
    monkeypatch.setattr("realtime.delivery.drain.draining", True)
    assert Client().get("/readyz").status_code == 503
    assert log.getvalue() == ""


def test_an_error_of_the_servers_keeps_level_and_traceback(log, settings, db, monkeypatch):
    """Negative control."""

    def fail(*args):
        raise RuntimeError("broken")

    settings.DEBUG = False
    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_response", fail)
    assert Client(raise_request_exception=False).get("/admin/login/").status_code == 500
    assert " ERROR django.request: Internal Server Error: /admin/login/" in log.getvalue()
    assert "RuntimeError: broken" in log.getvalue()


@pytest.mark.parametrize("text", ["Invalid HTTP request received.", "Unsupported upgrade request."])
def test_malformed_requests_are_info(log, text):
    logging.getLogger("uvicorn.error").warning(text)
    assert f" INFO uvicorn.error: {text}\n" in log.getvalue()
