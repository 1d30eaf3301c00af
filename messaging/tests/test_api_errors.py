import logging
from types import SimpleNamespace

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from messaging import token_bucket
from messaging.api import throttles
from messaging.exceptions import MessagingError, TooOften
from messaging.models import Message
from messaging.tests.api_client import ApiClient, refusal
from messaging.token_bucket import TokenBuckets

pytestmark = pytest.mark.django_db

SIGNED_IN_CALLS = [
    ("GET", "users"),
    ("POST", "messages"),
    ("GET", "messages"),
    ("POST", "messages/1/read"),
    ("GET", "notifications"),
    ("POST", "notifications/read"),
    ("POST", "notifications/unread"),
    ("DELETE", "notifications/1"),
    ("GET", "presence"),
]
UNSAFE_CALLS = [call for call in SIGNED_IN_CALLS if call[0] != "GET"]
CALLS_WITH_A_BODY = ["session", "messages", "notifications/read", "notifications/unread"]


@pytest.mark.parametrize(("method", "path"), SIGNED_IN_CALLS)
def test_without_a_login_every_call_is_refused_whatever_else_is_wrong(method, path):
    assert refusal(ApiClient()(method, path)) == (401, "not_signed_in")
    assert refusal(ApiClient()(method, f"{path}?nonsense=1", raw=b"{")) == (401, "not_signed_in")


@pytest.mark.parametrize(("method", "path"), UNSAFE_CALLS)
@pytest.mark.parametrize("token", ["", "x" * 64, "a"])
def test_without_the_csrf_token_nothing_is_changed(ada, as_user, method, path, token):
    api = as_user(ada)
    api.token = ""
    headers = {"X_CSRFToken": token} if token else {}
    assert refusal(api(method, path, **headers)) == (403, "csrf_failed")


def test_a_call_from_another_site_is_refused_even_with_the_token(ada, grace, as_user):
    body = {"receiver": "grace", "content": "Hello"}
    response = as_user(ada)("POST", "messages", body, Origin="https://evil.example")
    assert refusal(response) == (403, "csrf_failed")
    assert not Message.objects.exists()


@pytest.mark.parametrize("path", CALLS_WITH_A_BODY)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"ids=1", b"NaN", b'{"ids": [Infinity]}', b"\xff\xfe", b"[" * 100_000, b"9" * 5_000, b"'a'"],
)
def test_what_is_not_json_is_refused(ada, as_user, path, body):
    assert refusal(as_user(ada)("POST", path, raw=body)) == (400, "not_json")


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"],
)
def test_a_form_is_no_json(ada, as_user, content_type):
    api = as_user(ada)
    headers = {"X-CSRFToken": api.token}
    part = b'--x\r\nContent-Disposition: form-data; name="content"\r\n\r\n1\r\n--x--\r\n'
    for body in (part, b"content=Hello&receiver=grace"):
        response = api.client.generic(
            "POST", "/api/v1/messages", body, content_type=content_type, headers=headers
        )
        assert refusal(response) == (400, "not_json")


@pytest.mark.parametrize("path", CALLS_WITH_A_BODY)
@pytest.mark.parametrize("body", [[], "text", 5, None, True, {"unknown": 1}])
def test_json_of_another_shape_is_malformed(ada, as_user, path, body):
    raw = b"null" if body is None else None
    assert refusal(as_user(ada)("POST", path, body, raw=raw)) == (422, "invalid")


def test_a_body_that_is_too_large_is_refused(ada, as_user):
    api = as_user(ada)
    assert refusal(api("POST", "messages", {"content": "x" * 3_000_000})) == (413, "too_large")
    assert refusal(api("POST", "session", {"username": "x" * 3_000_000})) == (413, "too_large")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("users?limit=x", "limit"),
        ("users?limit=0", "limit"),
        ("users?limit=201", "limit"),
        ("users?before=0", "before"),
        ("users?before=", "before"),
        (f"users?before={2**63}", "before"),
        ("users?search=%00", "search"),
        ("users?page=2", "page"),
        ("messages?with=%00", "with"),
        ("messages?partner=grace", "partner"),
        ("messages?limit=1.5", "limit"),
        ("notifications?unread=maybe", "unread"),
        ("notifications?notification_type=%00", "notification_type"),
        ("notifications?offset=1", "offset"),
        ("presence?user=ada", "user"),
        ("session?user=ada", "user"),
    ],
)
def test_a_malformed_query_is_refused_and_the_field_named(ada, as_user, path, names):
    response = as_user(ada)("GET", path)
    assert refusal(response) == (422, "invalid")
    assert names in response.json()["detail"]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        *[(number, (404, "not_found")) for number in (2**63 - 1, 0, -1, 2**63, 10**30)],
        *[(number, (422, "invalid")) for number in ("1e3", "x", "%00", "1.5")],
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "messages/{}/read"), ("DELETE", "notifications/{}")])
def test_an_id_is_a_number_and_one_that_no_row_can_have_is_not_found(
    ada, as_user, method, path, number, answer
):
    assert refusal(as_user(ada)(method, path.format(number))) == answer


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/session/", "/api/v2/users"]
)
def test_what_is_not_there_is_said_in_json(path, debug, settings):
    settings.DEBUG = debug
    for method in ("GET", "POST"):
        response = Client(enforce_csrf_checks=True).generic(method, path)
        assert refusal(response) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "session"), ("PATCH", "notifications/1"), ("DELETE", "messages")]
)
def test_a_method_that_is_not_there_is_said_in_json(method, path):
    response = ApiClient()(method, path)
    assert refusal(response) == (405, "method_not_allowed")
    assert response["Allow"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("before=0", "before: Input should be greater than or equal to 1"),
        ("before=x", "before: Input should be a valid integer, unable to parse string as an integer"),
        ("group=%00", r"group: String should match pattern '^[^\x00]*$'"),
    ],
)
def test_a_parameter_that_may_be_absent_is_named_as_any_other(ada, as_user, query, detail):
    answer = as_user(ada)("GET", f"notifications?{query}")
    assert refusal(answer) == (422, "invalid")
    assert answer.json()["detail"] == detail


@pytest.mark.parametrize("debug", [True, False])
def test_a_failure_of_ours_is_logged_and_the_client_gets_no_details(
    ada, as_user, settings, monkeypatch, caplog, debug
):
    def fail(*args):
        raise RuntimeError("secret")

    settings.DEBUG = debug
    api = as_user(ada)
    monkeypatch.setattr("messaging.inboxes.state", fail)
    response = api("GET", "notifications")
    assert refusal(response) == (500, "server_error")
    assert b"secret" not in response.content
    (record,) = [record for record in caplog.records if record.name == "messaging.api.errors"]
    assert record.exc_info[1].args == ("secret",)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_a_503_and_no_traceback(ada, as_user, monkeypatch, caplog, error):
    def fail(*args):
        raise error("server closed the connection unexpectedly")

    api = as_user(ada)
    monkeypatch.setattr("messaging.inboxes.state", fail)
    response = api("GET", "notifications")
    assert refusal(response) == (503, "unavailable")
    assert response["Retry-After"] == "1"
    (record,) = [record for record in caplog.records if record.name == "messaging.api.errors"]
    assert record.levelname == "WARNING"
    assert not record.exc_info


def test_an_error_whose_code_has_no_status_is_a_failure_of_ours(ada, as_user, monkeypatch, caplog):
    def fail(*args):
        raise MessagingError

    api = as_user(ada)
    monkeypatch.setattr("messaging.inboxes.state", fail)
    assert refusal(api("GET", "notifications")) == (500, "server_error")


def test_refusals_leave_no_line_in_the_log(ada, as_user, caplog):
    with caplog.at_level(logging.INFO):
        api = as_user(ada)
        api("POST", "messages", raw=b"{")
        api("POST", "messages", {"receiver": 5})
        api("GET", "nothing")
        api.token = ""
        api("POST", "notifications/read", {"all": True})
        ApiClient()("GET", "notifications")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert not any(record.exc_info for record in caplog.records)


def test_answers_are_not_kept_by_caches(ada, as_user):
    assert as_user(ada)("GET", "notifications")["Cache-Control"] == "no-store"


def test_no_call_runs_in_a_transaction_even_if_the_project_wants_all_to(
    transactional_db, ada, grace, as_user, monkeypatch
):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    ada_calls, grace_calls = as_user(ada), as_user(grace)
    message = ada_calls("POST", "messages", {"receiver": "grace", "content": "Hello"}).json()
    page = grace_calls.get("notifications")  # assign_revisions refuses to run inside a transaction
    assert (page["revision"], page["unread_count"]) == (1, 1)
    assert grace_calls("POST", f"messages/{message['id']}/read").status_code == 200
    assert grace_calls("POST", "notifications/unread", {"ids": [page["items"][0]["id"]]}).status_code == 200
    assert grace_calls("POST", "notifications/read", {"all": True}).json()["unread_count"] == 0
    assert grace_calls("DELETE", f"notifications/{page['items'][0]['id']}").status_code == 204
    assert grace_calls.get("notifications")["items"] == []
    for path in ("users", "messages", "presence", "session", "openapi.json"):
        grace_calls.get(path)
    assert grace_calls("GET", "nothing").status_code == 404
    assert grace_calls("DELETE", "session").status_code == 204


@pytest.mark.parametrize("path", ["/api/v1/presence", "/api/nothing"])
def test_a_request_for_another_host_is_refused_in_json(path, settings):
    settings.DEBUG = False
    assert refusal(Client(headers={"Host": "evil.example"}).get(path)) == (400, "bad_request")
    assert b"<" in Client(headers={"Host": "evil.example"}).get("/").content


def test_a_failure_outside_of_a_call_is_answered_in_json(ada, as_user, settings, monkeypatch):
    def fail(*args):
        raise RuntimeError("secret")

    settings.DEBUG = False
    api = as_user(ada)
    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_response", fail)
    response = api("GET", "presence")
    assert refusal(response) == (500, "server_error")
    assert b"secret" not in response.content
    assert b"<" in Client(raise_request_exception=False).get("/").content


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "presence", None), ("POST", "ticket", {})])
def test_a_refusal_names_a_way_to_sign_in(db, method, path, body):
    assert ApiClient()(method, path, body)["WWW-Authenticate"] == "Bearer"


def test_a_whole_number_may_be_spelled_with_a_point(ada, as_user):
    """To JSON 7.0 is an integer, and some languages write every number so."""
    api = as_user(ada)
    assert api("POST", "notifications/read", raw=b'{"ids": [7.0, 8e0, 0.0, 1e30]}').json()["ids"] == []
    for number in ("7.5", "1e400"):
        assert refusal(api("POST", "notifications/read", raw=b'{"ids": [%s]}' % number.encode())) == (
            422,
            "invalid",
        )


class TestTheRateLimit:
    def test_a_user_has_a_burst_and_then_must_slow_down(self, ada, grace, as_user, monkeypatch):
        # However long the calls take.
        monkeypatch.setattr(token_bucket, "time", SimpleNamespace(monotonic=lambda: 100.0))
        monkeypatch.setattr("messaging.api.security.api_calls", TokenBuckets(rate=0.1, burst=3))
        api, other = as_user(ada), as_user(grace)
        for _ in range(3):
            api.get("presence")
        response = api("GET", "presence")
        assert refusal(response) == (429, "rate_limited")
        assert response["Retry-After"] == "10"
        other.get("presence")

    def test_it_can_be_switched_off(self, ada, as_user, monkeypatch, settings):
        settings.API_RATE_LIMIT = False
        monkeypatch.setattr("messaging.api.security.api_calls", TokenBuckets(rate=0.1, burst=1))
        api = as_user(ada)
        for _ in range(3):
            api.get("presence")

    def test_it_is_the_contracts(self):
        assert (throttles.api_calls.burst, throttles.api_calls.rate) == (200, 20)

    def test_a_bucket_fills_again(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(token_bucket, "time", SimpleNamespace(monotonic=lambda: now[0]))
        buckets = TokenBuckets(rate=20, burst=2)
        for _ in range(2):
            buckets.take("ada")
        with pytest.raises(TooOften) as refused:
            buckets.take("ada")
        assert refused.value.retry_after == 1
        now[0] += 0.06
        buckets.take("ada")
        now[0] += 3_600
        for _ in range(2):
            buckets.take("ada")
        with pytest.raises(TooOften):
            buckets.take("ada")

    def test_only_the_latest_buckets_are_kept(self):
        buckets = TokenBuckets(rate=1, burst=1, max_keys=2)
        for key in ("ada", "grace", "linus"):
            buckets.take(key)
        buckets.take("ada")
        with pytest.raises(TooOften):
            buckets.take("linus")


class TestOpenApi:
    @pytest.fixture
    def schema(self):
        return ApiClient().get("openapi.json")

    def test_every_call_of_the_contract_is_described(self, schema):
        described = {
            (method.upper(), path.removeprefix("/api/v1/"))
            for path, methods in schema["paths"].items()
            for method in methods
        }
        assert described >= {
            ("POST", "session"),
            ("GET", "session"),
            ("DELETE", "session"),
            ("GET", "users"),
            ("POST", "messages"),
            ("GET", "messages"),
            ("POST", "messages/{message_id}/read"),
            ("GET", "notifications"),
            ("POST", "notifications/read"),
            ("POST", "notifications/unread"),
            ("DELETE", "notifications/{notification_id}"),
            ("GET", "presence"),
            ("POST", "ticket"),
            ("POST", "publish"),
        }

    def test_every_problem_has_the_same_form(self, schema):
        for methods in schema["paths"].values():
            for call in methods.values():
                for status, answer in call["responses"].items():
                    if int(status) >= 400:
                        content = answer["content"]["application/json"]["schema"]
                        forms = [form["$ref"].rpartition("/")[2] for form in content.get("anyOf", [content])]
                        # An atomic publish that fails names its items besides.
                        assert forms in (["Problem"], ["NothingPublished", "Problem"])

    def test_calls_that_need_a_login_say_so(self, schema):
        paths = {path.removeprefix("/api/v1/"): calls for path, calls in schema["paths"].items()}
        assert paths["presence"]["get"]["security"] == [{"ApiToken": []}, {"SessionCookie": []}]
        assert paths["messages"]["post"]["security"] == [
            {"ApiToken": []},
            {"SessionCookie": [], "CsrfToken": []},
        ]
        assert paths["publish"]["post"]["security"] == [{"ApiToken": []}]
        assert "security" not in paths["session"]["post"]
        assert schema["components"]["securitySchemes"].keys() == {"SessionCookie", "CsrfToken", "ApiToken"}

    @pytest.mark.parametrize(
        ("method", "path", "statuses"),
        [
            ("post", "session", {200, 400, 401, 403, 413, 422, 429, 500, 503}),
            ("get", "session", {200, 401, 422, 500, 503}),
            ("delete", "session", {204, 401, 403, 422, 500, 503}),
            ("get", "users", {200, 401, 403, 422, 429, 500, 503}),
            ("post", "messages", {201, 400, 401, 403, 404, 413, 422, 429, 500, 503}),
            ("delete", "notifications/{notification_id}", {204, 401, 403, 404, 422, 429, 500, 503}),
            ("post", "ticket", {200, 400, 401, 403, 413, 422, 429, 500, 503}),
            ("post", "publish", {202, 400, 401, 403, 413, 422, 429, 500, 503}),
        ],
    )
    def test_every_status_that_can_happen_is_named(self, schema, method, path, statuses):
        responses = schema["paths"][f"/api/v1/{path}"][method]["responses"]
        assert {int(status) for status in responses} == statuses
        for status in {429, 503} & statuses:
            assert responses[str(status)]["headers"].keys() == {"Retry-After"}

    def test_the_page_needs_no_other_host_and_no_inline_script(self, client):
        response = client.get("/api/v1/docs")
        page = response.content.decode()
        assert response.status_code == 200
        assert "://" not in page
        assert (
            "script-src" in response["Content-Security-Policy"]
            or "default-src 'self'" in (response["Content-Security-Policy"])
        )
        scripts = page.split("<script ")[1:]
        assert scripts
        assert all(part.startswith(("src=", 'type="application/json"')) for part in scripts)
        assert "<script>" not in page
        assert "<style" not in page
