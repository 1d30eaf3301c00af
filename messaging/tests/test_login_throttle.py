"""One rule for every caller of `authenticate()`: pages, the API, the shell, whichever backends a project has."""

import logging
from types import SimpleNamespace

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, authenticate, login
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory
from django.urls import include, path

from conftest import PASSWORD
from messaging import checks, login_throttle
from messaging.admin.login import too_many_requests
from messaging.auth_backends import PATH
from messaging.exceptions import TooManyAttempts
from messaging.models import LoginFailure
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"

urlpatterns = [
    path("accounts/login/", too_many_requests(LoginView.as_view(template_name="admin/login.html"))),
    path("", include("config.urls")),
]


class EmailBackend(ModelBackend):
    """As many projects have it: the name is an address, whatever its case."""

    def authenticate(self, request, username=None, password=None, **kwargs):
        user = User.objects.filter(email__iexact=username.strip()).first()
        return user if user is not None and user.check_password(password) else None


class CodeBackend(BaseBackend):
    """Takes other credentials."""

    def authenticate(self, request, *, code):  # type: ignore[override]
        return User.objects.filter(username="ada").first() if code == "4711" else None

    def get_user(self, user_id):
        return User.objects.filter(pk=user_id).first()


class Closed(BaseBackend):
    def authenticate(self, request, **credentials):
        raise PermissionDenied


def page(client, url, username, password):
    return client.post(url, {"username": username, "password": password, "next": "/admin/"})


def at_the_admin(username, password, **client):
    return page(Client(**client), "/admin/login/", username, password)


def at_the_api(username, password):
    return ApiClient().sign_in(username, password)


@pytest.fixture
def request_of():
    def make(address="127.0.0.1"):
        request = RequestFactory().post("/", REMOTE_ADDR=address)
        request.session = Client().session
        return request

    return make


def test_the_admins_sign_in_locks_after_five_failures_with_its_own_page(root):
    for _ in range(5):
        wrong = at_the_admin("root", "wrong")
        assert wrong.status_code == 200
        assert "Please enter the correct username and password" in wrong.content.decode()
    for password in ("wrong", PASSWORD):
        locked = at_the_admin("root", password)
        assert locked.status_code == 429
        assert 290 <= int(locked["Retry-After"]) <= 300
        assert "Too many failed sign-ins: wait a few minutes." in locked.content.decode()
        assert 'name="password"' in locked.content.decode()
    assert LoginFailure.objects.count() == 5
    assert at_the_admin("root", PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_every_door_counts_together(root, settings, request_of):
    settings.ROOT_URLCONF = __name__
    assert at_the_admin("root", "wrong").status_code == 200
    assert at_the_api("root", "wrong").status_code == 401
    assert page(Client(), "/accounts/login/", "root", "wrong").status_code == 200
    assert authenticate(request_of(), username="root", password="wrong") is None
    assert at_the_api("root", "wrong").status_code == 401
    assert refusal(at_the_api("root", PASSWORD)) == (429, "too_many_attempts")
    assert at_the_admin("root", PASSWORD).status_code == 429
    assert page(Client(), "/accounts/login/", "root", PASSWORD).status_code == 429
    locked = request_of()
    assert authenticate(locked, username="root", password=PASSWORD) is None
    assert locked.sign_in_refusal.code == "too_many_attempts"


def test_the_control_without_the_backend_the_admin_answers_as_often_as_one_likes(root, settings):
    settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND]
    assert {at_the_admin("root", "wrong").status_code for _ in range(8)} == {200}
    assert at_the_admin("root", PASSWORD).status_code == 302
    # But the API has the rule of its own.
    assert [at_the_api("root", "wrong").status_code for _ in range(6)] == [401] * 5 + [429]


def test_calls_without_a_request_are_counted_too(ada, grace):
    for _ in range(5):
        assert authenticate(username="ada", password="wrong") is None
    assert authenticate(username="ada", password=PASSWORD) is None
    assert authenticate(username="grace", password=PASSWORD) == grace


@pytest.mark.parametrize("name", ["ADA", " ada ", "a\u200bda", "\uff41da", "ada\t", "ad\u00aa"])
def test_other_spellings_of_a_name_are_the_same_name(name):
    assert login_throttle.normalized(name) == "ada"


def test_a_name_of_whatever_characters_and_length_is_counted(ada):
    for name in ("x" * 500, "\ud800", "a\0b", "\ufdfa" * 150, ""):
        login_throttle.note_failure(login_throttle.normalized(name), "")
    assert LoginFailure.objects.count() == 5
    assert login_throttle.normalized("x" * 200 + "1") == login_throttle.normalized("x" * 200 + "2")


def test_a_backend_that_ignores_case_gives_no_more_guesses(ada, settings, request_of):
    settings.AUTHENTICATION_BACKENDS = [PATH, f"{__name__}.EmailBackend"]
    spellings = [
        "ada@example.org",
        "ADA@example.org",
        " Ada@Example.org",
        "ada@EXAMPLE.org",
        "aDa@example.org",
    ]
    for name in spellings:
        assert authenticate(request_of(), username=name, password="wrong") is None
    assert authenticate(request_of(), username="adA@example.org", password=PASSWORD) is None
    assert authenticate(request_of("192.0.2.7"), username="adA@example.org", password=PASSWORD) == ada


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", ""),
        ("", ""),
        ("a" * 60, ""),
    ],
)
def test_the_address_that_is_counted(given, counted):
    assert login_throttle.client_address(RequestFactory().get("/", REMOTE_ADDR=given)) == counted


def test_the_session_names_the_backend_that_accepted(ada, settings, request_of):
    settings.AUTHENTICATION_BACKENDS = [PATH, f"{__name__}.EmailBackend", MODEL_BACKEND]
    for name, backend in (("ada", MODEL_BACKEND), ("ada@example.org", f"{__name__}.EmailBackend")):
        request = request_of()
        user = authenticate(request, username=name, password=PASSWORD)
        login(request, user)
        assert request.session[BACKEND_SESSION_KEY] == user.backend == backend


def test_a_session_that_names_the_throttle_is_valid(ada):
    client = Client()
    client.force_login(ada, backend=PATH)
    assert client.get("/api/v1/session").json()["user"]["username"] == "ada"
    User.objects.update(is_active=False)
    assert client.get("/api/v1/session").json()["user"] is None


def test_backends_after_a_refusal_are_not_asked_and_other_credentials_are_left_alone(
    ada, settings, request_of
):
    settings.AUTHENTICATION_BACKENDS = [PATH, f"{__name__}.CodeBackend", f"{__name__}.Closed", MODEL_BACKEND]
    assert authenticate(request_of(), code="4711") == ada
    assert authenticate(request_of(), username="ada", password=PASSWORD) is None
    assert LoginFailure.objects.count() == 1


def test_a_failure_is_signalled_once(ada, request_of):
    heard = []

    def record(sender, credentials, **kwargs):
        heard.append(credentials)

    user_login_failed.connect(record)
    try:
        authenticate(request_of(), username="ada", password="wrong")
    finally:
        user_login_failed.disconnect(record)
    assert heard == [{"username": "ada", "password": "********************"}]


def test_sign_ins_that_succeed_have_a_rate_too(ada, monkeypatch):
    monkeypatch.setattr("messaging.token_bucket.time", SimpleNamespace(monotonic=lambda: 1000.0))
    statuses = [at_the_api("ada", PASSWORD).status_code for _ in range(100)]
    assert statuses == [200] * 100
    refused = at_the_api("ada", PASSWORD)
    assert refusal(refused) == (429, "rate_limited")
    assert refused["Retry-After"] == "1"
    assert at_the_admin("ada", PASSWORD).status_code == 429
    assert at_the_admin("ada", PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 200


def test_while_every_slot_is_taken_a_sign_in_is_refused_at_once_and_not_counted(
    ada, root, monkeypatch, settings
):
    settings.PASSWORD_HASHES_AT_ONCE = 1
    monkeypatch.setattr(login_throttle.password_hashes, "max_waiting", 0)
    with login_throttle.password_hashes.held(1):
        busy = at_the_api("ada", PASSWORD)
        assert refusal(busy) == (429, "rate_limited")
        assert busy["Retry-After"] == "1"
        page = at_the_admin("root", PASSWORD)
        assert (page.status_code, page["Retry-After"]) == (429, "1")
        assert "Too many sign-ins at once: try again in a moment." in page.content.decode()
    assert not LoginFailure.objects.exists()
    assert at_the_admin("root", PASSWORD).status_code == 302


def test_of_concurrent_attempts_no_more_are_answered_than_of_consecutive_ones(
    threads, ada, settings, request_of
):
    """Also the right password is refused, if five others have failed before it was checked."""
    settings.PASSWORD_HASHES_AT_ONCE = 20
    answers = []

    def wrong():
        request = request_of()
        authenticate(request, username="ada", password="wrong")
        answers.append(getattr(request, "sign_in_refusal", None))

    threads.together(*[wrong] * 12)
    assert len(answers) == 12
    assert sum(answer is None for answer in answers) <= 5
    assert at_the_api("ada", PASSWORD).status_code == 429


def test_a_right_password_that_was_checked_while_five_failed_is_refused(ada, request_of):
    def check():
        for _ in range(5):
            LoginFailure.objects.create(username="ada", address="127.0.0.1")
        return ada

    with pytest.raises(TooManyAttempts):
        login_throttle.attempt(request_of(), "ada", check)


def test_nothing_of_it_is_logged_as_a_fault(root, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(7):
            at_the_admin("root", "wrong")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_project_without_the_backend_is_warned(settings):
    assert checks.login_throttle() == []
    for backends in ([MODEL_BACKEND], [MODEL_BACKEND, PATH], ()):
        settings.AUTHENTICATION_BACKENDS = backends
        assert [warning.id for warning in checks.login_throttle()] == ["messaging.W002"]
