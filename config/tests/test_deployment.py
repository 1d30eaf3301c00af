"""Production as .env.example and docker-compose.yml set it up: Django's own checks, headers, cookies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-a-test-" + "0123456789abcdef" * 4


def production(**changes):
    """The environment of a server process: .env.example's, then docker-compose.yml's."""
    example = re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web1"]["environment"]
    variables = {name: value for name, value in example if value} | {"POSTGRES_PASSWORD": "secret"}
    for name, value in compose.items():
        variables[name] = re.sub(
            r"\$\{(\w+)(?::?[-?]((?:[^${}]|\$\{[^}]*\})*))?\}",
            lambda match: variables.get(match[1]) or match[2] or "",
            value,
        )
    # The checks don't connect to this one, and nothing of the tests' own database is passed on.
    variables |= {"DATABASE_URL": "postgres://doorbell:secret@127.0.0.1:9/doorbell", "SECRET_KEY": KEY}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | variables | changes


def manage(environment, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)


def test_the_deployment_checks_find_nothing_wrong_with_production():
    done = manage(production(), "check", "--deploy", "--fail-level", "WARNING")
    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SECRET_KEY": "", "HSTS_SECONDS": "0"}, ["realtime.E003", "security.W004", "security.W009"]),
        (
            {"SECURE_COOKIES": "False", "ALLOWED_HOSTS": "*"},
            ["security.W012", "security.W008", "realtime.W005"],
        ),
        ({"REALTIME_SWEEP": "3"}, ["realtime.W013", "Is REALTIME_SWEEP_SECONDS meant?"]),
    ],
)
def test_the_deployment_checks_find_mistakes(changes, found):
    done = manage(production(**changes), "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in found:
        assert name in done.stderr


def test_without_a_key_no_server_starts_and_it_says_why():
    done = manage(production(SECRET_KEY=""), "serve", "--port", "0")
    assert done.returncode == 1
    assert "realtime.E003" in done.stderr
    assert "Traceback" not in done.stderr


# --- Headers and cookies ---------------------------------------------------------------------------------------

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = ["/", "/admin/login/", "/admin/", "/admin/messaging/notification/", "/admin/messaging/userprofile/"]


@pytest.fixture
def page(db, settings):
    settings.DEMO = True
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return lambda path: client.get(path, follow=True)


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/docs", "/api/v1/session", "/nothing/"])
def test_every_response_has_the_security_headers(page, path):
    response = page(path)
    assert {name: response[name] for name in HEADERS} == HEADERS
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    # No script but from here, and none inline.
    assert policy.get("script-src", "'self'") == "'self'"
    assert "unsafe" not in response["Content-Security-Policy"]


INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\son\w+=|\sstyle=|<style|javascript:", re.IGNORECASE
)


@pytest.mark.parametrize("path", PAGES)
def test_no_page_contains_what_its_policy_forbids(page, path):
    response = page(path)
    assert response.status_code == 200
    assert not INLINE.findall(response.content.decode())


def test_the_search_for_forbidden_content_finds_it():
    for bad in (
        "<script>x</script>",
        '<a onclick="x">',
        '<b style="x">',
        "<style>",
        '<a href="javascript:x">',
    ):
        assert INLINE.search(bad)
    assert not INLINE.search('<script src="x.js" defer></script><script type="application/json">{}</script>')


def test_cookies_are_same_site_and_http_only(settings, ada):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client()
    body = {"username": "ada", "password": "doorbell"}
    assert client.post("/api/v1/session", body, content_type="application/json").status_code == 200
    session, token = client.cookies["sessionid"], client.cookies["csrftoken"]
    for cookie in (session, token):
        assert cookie["secure"]
        assert cookie["samesite"] == "Lax"
    # A page's script has to send the token; it never needs the session's key.
    assert session["httponly"]


def test_over_http_a_browser_is_redirected_to_https_but_not_a_health_check(settings, db):
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/", "/admin/", "/api/v1/session"):
        response = Client().get(path)
        assert (response.status_code, response["Location"]) == (301, f"https://testserver{path}")
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/", secure=True).status_code == 200


def test_over_https_the_hsts_header_is_sent(settings, db):
    settings.SECURE_HSTS_SECONDS = 3600
    assert Client().get("/", secure=True)["Strict-Transport-Security"] == "max-age=3600"
    assert "Strict-Transport-Security" not in Client().get("/").headers


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"REALTIME_SWEEP_SECONDS": "0.5", "REALTIME_PENDING_SECONDS": "7", "REALTIME_RELAY": "off"},
            "0.5 7.0 False",
        ),
        (
            {"REALTIME_SWEEP_SECONDS": "soon"},
            "REALTIME_SWEEP_SECONDS is 'soon': use a number of seconds, at least 0.01.",
        ),
        ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE is 'many': use a whole number, at least 2."),
        ({"REALTIME_RELAY": "perhaps"}, "REALTIME_RELAY is 'perhaps': use True or False."),
    ],
)
def test_the_environment_is_read_and_invalid_values_are_named(variables, said):
    show = "from realtime.conf import conf; print(conf.sweep_seconds, conf.pending_seconds, conf.relay)"
    done = manage(production(**variables), "shell", "--no-imports", "-c", show)
    assert said in done.stdout + done.stderr
