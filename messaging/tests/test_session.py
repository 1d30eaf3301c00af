import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD
from messaging import login_throttle, tokens
from messaging.models import LoginFailure
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db
WRONG = {"username": "ada", "password": "wrong"}
RIGHT = {"username": "ada", "password": PASSWORD}


@pytest.fixture
def api():
    return ApiClient()


def test_signing_in_answers_with_the_user_and_a_token_that_works(ada, api):
    response = api.sign_in("ada")
    assert response.status_code == 200
    assert response.json() == {
        "user": {"id": ada.pk, "username": "ada"},
        "csrf_token": api.token,
        "csrf_header": "X-CSRFToken",
    }
    assert api("POST", "notifications/read", {"all": True}).status_code == 200


def test_who_am_i_is_null_before_and_the_user_after(ada, api):
    assert api.get("session")["user"] is None
    api.sign_in("ada")
    assert api.get("session")["user"] == {"id": ada.pk, "username": "ada"}


def test_who_am_i_gives_a_cookie_and_a_token_that_fit_together(ada, api):
    api.sign_in("ada")
    api.client.cookies.pop(project_settings.CSRF_COOKIE_NAME)
    api.token = api.get("session")["csrf_token"]
    assert project_settings.CSRF_COOKIE_NAME in api.client.cookies
    assert api("DELETE", "session").status_code == 204


def test_signing_out_ends_the_session(ada, api):
    api.sign_in("ada")
    response = api("DELETE", "session")
    assert (response.status_code, response.content) == (204, b"")
    assert api.get("session")["user"] is None
    assert refusal(api("GET", "notifications")) == (401, "not_signed_in")


def test_signing_out_without_a_session_is_a_success_too(db, api):
    assert api("DELETE", "session").status_code == 204


def test_signing_out_needs_the_csrf_token(ada, api):
    api.sign_in("ada")
    assert refusal(api("DELETE", "session", X_CSRFToken="")) == (403, "csrf_failed")
    assert api.get("session")["user"] is not None


def test_signing_out_with_an_api_token_revokes_it_and_nothing_else(ada, api):
    api.sign_in("ada")
    _, mine = tokens.make("a program", user=ada)
    _, other = tokens.make("another", user=ada)
    bearer = {"Authorization": f"Bearer {mine}", "X_CSRFToken": ""}
    assert api("DELETE", "session", **bearer).status_code == 204
    assert refusal(api("GET", "profile", **bearer)) == (401, "not_signed_in")
    assert refusal(api("DELETE", "session", **bearer)) == (401, "not_signed_in")
    assert tokens.find(other) is not None
    assert api.get("session")["user"]["username"] == "ada"


def test_a_token_that_is_not_a_users_is_no_login_to_end(db, api):
    _, secret = tokens.make("a publisher", can_publish=True)
    assert refusal(api("DELETE", "session", Authorization=f"Bearer {secret}")) == (403, "not_allowed")
    assert tokens.find(secret) is not None
    assert refusal(api("DELETE", "session", Authorization="Bearer nonsense")) == (401, "not_signed_in")


def test_signing_in_as_another_replaces_the_session(ada, grace, api):
    api.sign_in("ada")
    assert api.sign_in("grace").json()["user"]["username"] == "grace"
    assert api.get("session")["user"]["username"] == "grace"


@pytest.mark.parametrize(
    "body",
    [
        WRONG,
        {"username": "nobody", "password": PASSWORD},
        {"username": "Ada", "password": PASSWORD},
        {"username": "", "password": ""},
        {"username": "x" * 300, "password": "x" * 10_000},
        {"username": "ada", "password": PASSWORD + "\0"},
    ],
)
def test_bad_credentials(ada, api, body):
    assert refusal(api("POST", "session", body)) == (401, "bad_credentials")
    assert api.get("session")["user"] is None


def test_an_inactive_user_is_not_let_in_and_one_who_is_in_is_out(ada, api):
    api.sign_in("ada")
    User.objects.update(is_active=False)
    assert refusal(api("GET", "notifications")) == (401, "not_signed_in")
    assert refusal(ApiClient().sign_in("ada")) == (401, "bad_credentials")


@pytest.mark.parametrize(
    "body",
    [
        {"username": "ada"},
        {"password": PASSWORD},
        {"username": 5, "password": PASSWORD},
        {"username": "ada", "password": None},
        {"username": "ada\0", "password": PASSWORD},
        # A lone surrogate: JSON allows it.
        {"username": "ada", "password": "\ud800"},
        {"username": "\ud800", "password": PASSWORD},
        RIGHT | {"remember": True},
        [],
        "ada",
    ],
)
def test_malformed_credentials(ada, api, body):
    assert refusal(api("POST", "session", body)) == (422, "invalid")
    assert not LoginFailure.objects.exists()


def test_an_api_token_says_whose_it_is(ada, grace, api):
    api.sign_in("grace")
    for user, answered in ((ada, {"id": ada.pk, "username": "ada"}), (None, None)):
        _, secret = tokens.make("a program", user=user, can_publish=True)
        response = api("GET", "session", Authorization=f"Bearer {secret}")
        assert (response.status_code, response.json()["user"]) == (200, answered)
    assert refusal(api("GET", "session", Authorization="Bearer nonsense")) == (401, "not_signed_in")
    assert api.get("session")["user"]["username"] == "grace"


@pytest.mark.parametrize("key", ["", "x", "nobody's" * 4, r'"\000abcdefgh"', r'"a\"b\\cdefgh"', "é" * 32])
def test_a_cookie_without_a_session_is_not_signed_in(db, api, key):
    name = project_settings.SESSION_COOKIE_NAME
    api.client.cookies[name] = "x"
    api.client.cookies[name].set(name, key, key)
    assert refusal(api("GET", "notifications")) == (401, "not_signed_in")
    assert api.get("session")["user"] is None
    assert refusal(api.sign_in("ada")) == (401, "bad_credentials")


def test_signing_in_takes_json_only_so_that_no_form_of_another_site_can_do_it(ada):
    client = Client()
    form = client.post("/api/v1/session", RIGHT)
    assert refusal(form) == (400, "not_json")
    disguised = client.post("/api/v1/session", RIGHT, content_type="application/json")
    assert disguised.status_code == 200
    body = b'{"username": "ada", "password": "doorbell"}'
    plain = client.generic("POST", "/api/v1/session", body, content_type="text/plain")
    assert refusal(plain) == (400, "not_json")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver:81", "http://[", ""])
def test_signing_in_from_another_site_is_refused(ada, api, origin):
    assert refusal(api("POST", "session", RIGHT, Origin=origin)) == (403, "csrf_failed")
    assert api.get("session")["user"] is None


def test_signing_in_from_this_site_or_a_trusted_one_works(ada, api, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example", "https://*.trusted.example"]
    for origin in ("http://testserver", "https://app.example", "https://www.trusted.example"):
        assert api("POST", "session", RIGHT, Origin=origin).status_code == 200


class TestTheLoginThrottle:
    def test_after_five_failures_a_username_must_wait(self, ada, api):
        for _ in range(5):
            assert refusal(api("POST", "session", WRONG)) == (401, "bad_credentials")
        for body in (WRONG, RIGHT):
            response = api("POST", "session", body)
            assert refusal(response) == (429, "too_many_attempts")
            assert 290 <= int(response["Retry-After"]) <= 300
        assert LoginFailure.objects.count() == 5

    def test_another_username_and_another_address_may_go_on(self, ada, grace, api):
        for _ in range(5):
            api("POST", "session", WRONG)
        assert api.sign_in("grace").status_code == 200
        elsewhere = Client(REMOTE_ADDR="192.0.2.7")
        assert elsewhere.post("/api/v1/session", RIGHT, "application/json").status_code == 200

    def test_successes_do_not_count(self, ada, api):
        for _ in range(4):
            assert refusal(api("POST", "session", WRONG)) == (401, "bad_credentials")
        for _ in range(10):
            assert api.sign_in("ada").status_code == 200

    def test_it_ends_when_the_time_is_over_and_the_old_failures_go(self, ada, api):
        for _ in range(5):
            api("POST", "session", WRONG)
        LoginFailure.objects.update(at=F("at") - login_throttle.FAILURES_WINDOW)
        assert refusal(api("POST", "session", WRONG)) == (401, "bad_credentials")
        assert LoginFailure.objects.count() == 1

    def test_retry_after_names_the_moment_at_which_it_works_again(self, ada, api):
        for _ in range(5):
            api("POST", "session", WRONG)
        moment = timezone.now()
        LoginFailure.objects.update(at=moment - login_throttle.FAILURES_WINDOW * 0.9)
        retry_after = int(api("POST", "session", RIGHT)["Retry-After"])
        assert 29 - (timezone.now() - moment).total_seconds() <= retry_after <= 30

    def test_an_address_has_a_hundred_failures(self, ada, api):
        LoginFailure.objects.bulk_create(
            LoginFailure(username=f"user{number}", address="127.0.0.1") for number in range(99)
        )
        assert refusal(api("POST", "session", WRONG)) == (401, "bad_credentials")
        assert refusal(api("POST", "session", RIGHT)) == (429, "too_many_attempts")

    def test_of_attempts_side_by_side_no_more_than_five_are_answered(self, transactional_db, threads, ada):
        statuses = []

        def attempt():
            statuses.append(ApiClient()("POST", "session", WRONG).status_code)
            connection.close()

        threads.together(*[attempt] * 12)
        assert sorted(set(statuses)) in ([401, 429], [429])
        assert statuses.count(401) <= 5
        assert len(statuses) == 12
