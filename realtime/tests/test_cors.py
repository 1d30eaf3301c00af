"""CORS: pages of REALTIME_ORIGINS may call the API with cookies, and no others; nothing outside of the API."""

import pytest
from django.test import Client

from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db

APP = "https://app.example.com"


@pytest.fixture(autouse=True)
def listed(settings):
    settings.REALTIME_ORIGINS = [APP]
    return settings


def cors(response):
    return {name.lower() for name in response.headers if name.lower().startswith("access-control-")}


def preflight(path, origin=APP, headers="authorization,content-type,x-key"):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }
    return Client().options(path, headers=asked)


@pytest.mark.parametrize(
    "path", ["notifications", "notifications/read", "messages/1/read", "ticket", "nowhere", "openapi.json"]
)
def test_a_listed_page_may_call_and_read(path):
    answer = preflight(f"/api/v1/{path}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == APP
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert answer["Access-Control-Allow-Methods"] == "GET, POST, PATCH, DELETE"
    assert answer["Access-Control-Allow-Headers"] == "authorization,content-type,x-key"
    assert int(answer["Access-Control-Max-Age"]) > 0
    assert "Origin" in answer["Vary"]
    answer = Client().get(f"/api/v1/{path}", headers={"Origin": APP})
    assert answer["Access-Control-Allow-Origin"] == APP
    assert "Retry-After" in answer["Access-Control-Expose-Headers"]
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "*",
        f"{APP}.evil.example",
        f"{APP}:444",
        "http://app.example.com",
        f"{APP} {APP}",
        "",
    ],
)
def test_other_pages_may_not(origin):
    answer = preflight("/api/v1/notifications", origin)
    assert (answer.status_code, cors(answer)) == (405, set())
    answer = Client().get("/api/v1/session", headers={"Origin": origin})
    assert cors(answer) == set()
    # A cache must not give this answer to a listed page.
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize("path", ["/healthz", "/admin/login/", "/metrics", "/", "/api/"])
def test_nothing_else_is_opened(path):
    assert cors(preflight(path)) == set()
    assert cors(Client().get(path, headers={"Origin": APP})) == set()


def test_without_origins_nothing_is_said(listed):
    listed.REALTIME_ORIGINS = []
    answer = Client().get("/api/v1/session", headers={"Origin": APP})
    assert cors(answer) == set()
    assert "Origin" not in answer["Vary"]
    assert preflight("/api/v1/session").status_code == 405


def test_an_origin_is_compared_as_for_the_socket():
    answer = Client().get("/api/v1/session", headers={"Origin": "https://APP.example.com:443"})
    assert answer["Access-Control-Allow-Origin"] == "https://APP.example.com:443"


def test_odd_header_names_are_not_repeated():
    assert "Access-Control-Allow-Headers" not in preflight("/api/v1/session", headers="a, b<script>")


def test_a_listed_page_changes_something_with_the_csrf_token_and_others_never(listed, ada):
    api = ApiClient()
    assert (
        api(
            "POST", "session", {"username": "ada", "password": "x"}, Origin="https://evil.example"
        ).status_code
        == 403
    )
    api.client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    token = api.get("session")["csrf_token"]
    change = ("POST", "notifications/read", {"all": True})
    assert refusal(api(*change, Origin=APP)) == (403, "csrf_failed")
    api.token = token
    assert api(*change, Origin=APP).status_code == 200
    assert refusal(api(*change, Origin="https://evil.example")) == (403, "csrf_failed")
    # The control: the list decides.
    listed.REALTIME_ORIGINS = []
    assert refusal(api(*change, Origin=APP)) == (403, "csrf_failed")


def test_errors_can_be_read_too(settings):
    answer = Client().get("/api/v1/notifications", headers={"Origin": APP})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (401, APP)
