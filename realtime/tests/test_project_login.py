"""DOORBELL_AUTHENTICATE: whose request it is, what refuses it, and which calls need a CSRF token."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError
from django.test import Client

from messaging import hook_logins, sessions, tokens
from messaging.api import security
from messaging.api.throttles import api_calls
from messaging.models import UserSession
from messaging.tests.api_client import ApiClient, refusal
from messaging.token_bucket import TokenBuckets
from realtime import auth

pytestmark = pytest.mark.django_db

READ = ("POST", "notifications/read", {"all": True})


class Refused(Exception):
    status_code = 401


def by_key(request):
    """By a header, a cookie or HTTP Basic, as a project's own authentication may go."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    key = (secret if scheme in ("Bearer", "Basic", "Key") else "") or request.headers.get("X-Key", "")
    key = key or request.COOKIES.get("key", "")
    if key == "expired":
        raise Refused("Token is expired")
    return User.objects.filter(username=key).first()


@pytest.fixture(autouse=True)
def fresh_rates():
    api_calls.clear()


@pytest.fixture
def hook(settings):
    def use(name):
        settings.DOORBELL_AUTHENTICATE = f"{__name__}.{name}"
        return settings

    use("by_key")
    return use


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def signed_in(user):
    api = ApiClient()
    api.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    api.token = api.get("session")["csrf_token"]
    return api


def test_every_call_asks_the_hook(hook, settings, ada):
    api = ApiClient()
    for method, path, body in (
        ("GET", "notifications", None),
        ("GET", "profile", None),
        READ,
        ("POST", "ticket", {}),
        ("GET", "presence", None),
        ("GET", "users", None),
    ):
        assert api(method, path, body, **bearer("ada")).status_code == 200, path
        assert refusal(api(method, path, body, **bearer("no-one"))) == (401, "not_signed_in"), path
        assert refusal(api(method, path, body)) == (401, "not_signed_in"), path
    assert api("GET", "session", **bearer("ada")).json()["user"]["username"] == "ada"
    assert api("GET", "session", **bearer("no-one")).json()["user"] is None
    # The control: without the hook that key is no API token.
    settings.DOORBELL_AUTHENTICATE = None
    assert refusal(api(*READ, **bearer("ada"))) == (401, "not_signed_in")


def test_an_api_token_counts_before_the_hook_and_that_before_the_session(hook, ada, grace, linus):
    token, secret = tokens.make("phone", user=grace)
    api = signed_in(linus)
    assert api("GET", "session", **bearer(secret)).json()["user"]["username"] == "grace"
    assert api("GET", "session", **bearer("ada")).json()["user"]["username"] == "ada"
    assert api("GET", "session").json()["user"]["username"] == "linus"
    # An API token that is revoked is no reason to look further.
    tokens.revoke(token)
    assert refusal(api("GET", "notifications", **bearer(secret))) == (401, "not_signed_in")


def test_beside_a_bearer_that_is_nobodys_the_session_counts_with_its_csrf_token(hook, settings, ada):
    api = signed_in(ada)
    assert api(*READ, **bearer("of-another-api")).status_code == 200
    api.token = ""
    assert refusal(api(*READ, **bearer("of-another-api"))) == (403, "csrf_failed")
    # Without a hook a Bearer is meant for us, as ever.
    settings.DOORBELL_AUTHENTICATE = None
    assert refusal(api("GET", "notifications", **bearer("of-another-api"))) == (401, "not_signed_in")


def of_the_session(request):
    return request.user


def test_a_hook_that_returns_the_sessions_user_leaves_the_login_a_session(hook, ada):
    hook("of_the_session")
    api = signed_in(ada)
    key = key_of(api("POST", "ticket", {}).json()["ticket"])
    assert key == api.client.session.session_key
    assert api("DELETE", "session").status_code == 204
    assert auth.valid_logins([key]) == {}
    assert refusal(api("GET", "notifications")) == (401, "not_signed_in")


def test_publishing_needs_an_api_token_whoever_the_hook_finds(hook, ada):
    item = {"user": "ada", "notification_type": "announcement", "title": "It rings"}
    assert refusal(ApiClient()("POST", "publish", item, **bearer("ada"))) == (403, "not_allowed")
    assert refusal(ApiClient()("POST", "publish", item, **bearer("no-one"))) == (401, "not_signed_in")
    _, secret = tokens.make("publisher", can_publish=True)
    assert ApiClient()("POST", "publish", item, **bearer(secret)).status_code == 202


# --- What a browser may send by itself needs a CSRF token -----------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "cookies", "answer"),
    [
        (bearer("ada"), {}, 200),
        # No page can add this header without a preflight, whatever cookies go with it.
        (bearer("ada"), {"csrftoken": "x"}, 200),
        ({"Authorization": "Key ada"}, {"other": "x"}, 200),
        ({"X-Key": "ada"}, {}, 200),
        ({"X-Key": "ada", "Origin": "http://testserver"}, {}, 200),
        ({"X-Key": "ada", "Origin": "https://evil.example"}, {}, 403),
        ({"X-Key": "ada", "Origin": "null"}, {}, 403),
        ({}, {"key": "ada"}, 403),
        ({"Origin": "http://testserver"}, {"key": "ada"}, 403),
        # A browser that knows the password sends it with other sites' requests, too.
        ({"Authorization": "Basic ada"}, {}, 200),
        ({"Authorization": "Basic ada", "Origin": "https://evil.example"}, {}, 403),
        ({"Authorization": "basic ", "X-Key": "ada", "Origin": "https://evil.example"}, {}, 403),
        ({"Authorization": "Basic ada"}, {"other": "x"}, 403),
    ],
)
def test_a_login_needs_a_csrf_token_if_a_browser_sends_it_by_itself(hook, ada, headers, cookies, answer):
    api = ApiClient()
    for name, value in cookies.items():
        api.client.cookies[name] = value
    response = api(*READ, **headers)
    assert response.status_code == answer
    if answer == 403:
        assert response.json()["code"] == "csrf_failed"
    # Reading changes nothing.
    assert api("GET", "notifications", **headers).status_code == 200


def test_a_login_by_cookie_goes_with_the_csrf_token(hook, ada):
    api = ApiClient()
    api.client.cookies["key"] = "ada"
    api.token = api.get("session")["csrf_token"]
    assert api(*READ).status_code == 200


# --- What a hook may get wrong -------------------------------------------------------------------------------------


def raising(request):
    raise User.DoesNotExist("no such customer")


def forbidding(request):
    error = Refused("Not from here")
    error.status_code = 403
    raise error


def anonymous(request):
    return AnonymousUser()


def name(request):
    return "ada"


def unsaved(request):
    return User(username="new")


def without_a_database(request):
    raise OperationalError("the server closed the connection unexpectedly")


@pytest.mark.parametrize(
    ("which", "answer", "logged"),
    [
        ("raising", (500, "server_error"), "it raised DoesNotExist: no such customer"),
        ("name", (500, "server_error"), "it returned str, which is no stored user"),
        ("unsaved", (500, "server_error"), f"it returned {User.__name__}, which is no stored user"),
        ("without_a_database", (503, "unavailable"), ""),
        ("anonymous", (401, "not_signed_in"), ""),
        ("forbidding", (401, "not_signed_in"), ""),
    ],
)
def test_a_hook_that_fails_is_named_in_the_log_and_signs_no_one_in(hook, ada, caplog, which, answer, logged):
    hook(which)
    for path in ("notifications", "session"):
        if (which, path) != ("anonymous", "session"):
            assert refusal(signed_or_not(ada)("GET", path)) == answer
    assert refusal(ApiClient()("POST", "ticket", {}, **bearer("ada"))) == answer
    if logged:
        assert f"DOORBELL_AUTHENTICATE, {__name__}.{which}, failed: {logged}" in caplog.text
    else:
        assert "DOORBELL_AUTHENTICATE" not in caplog.text


def signed_or_not(user):
    """A client without a session."""
    return ApiClient()


def test_what_refuses_a_login_says_why_and_ends_the_search(hook, ada):
    refused = signed_in(ada)("GET", "notifications", **bearer("expired"))
    assert refusal(refused) == (401, "not_signed_in")
    assert refused.json()["detail"] == "This login isn't valid, or not any more."


def test_a_deactivated_user_is_refused(hook, ada):
    User.objects.filter(pk=ada.pk).update(is_active=False)
    refused = ApiClient()("GET", "notifications", **bearer("ada"))
    assert refusal(refused) == (401, "not_signed_in")
    assert refused.json()["detail"] == "This account is deactivated."


def test_the_rate_is_the_users(hook, ada, grace, monkeypatch):
    monkeypatch.setattr(security, "api_calls", TokenBuckets(1e-6, 2))
    answers = [ApiClient()("GET", "notifications", **bearer("ada")).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert ApiClient()("GET", "notifications", **bearer("grace")).status_code == 200


# --- The sockets of such a login -----------------------------------------------------------------------------------


def ticket_of(name="ada"):
    return ApiClient()("POST", "ticket", {}, **bearer(name)).json()["ticket"]


def key_of(ticket):
    login = auth.use_ticket(ticket)
    assert login is not None
    return login.key


def test_a_ticket_is_good_for_the_hooks_user(hook, ada):
    ticket = ticket_of()
    login = auth.use_ticket(ticket)
    assert (login.user.username, login.key.startswith(hook_logins.PREFIX)) == ("ada", True)
    assert auth.use_ticket(ticket) is None
    assert auth.valid_logins([login.key]).keys() == {login.key}


def deactivated(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def with_another_password(user):
    user.set_password("another")
    user.save()


def signed_out_everywhere(user):
    sessions.end_all(user)


def expired(user):
    from django.db.models.functions import Now

    UserSession.objects.filter(user=user).update(expires_at=Now())


def deleted(user):
    User.objects.get(pk=user.pk).delete()


@pytest.mark.parametrize("end", [deactivated, with_another_password, signed_out_everywhere, expired, deleted])
def test_a_login_of_the_hook_ends(hook, ada, grace, end):
    key, others, unused = key_of(ticket_of()), key_of(ticket_of("grace")), ticket_of()
    assert auth.valid_logins([key, others]).keys() == {key, others}
    end(ada)
    assert auth.valid_logins([key, others]).keys() == {others}
    assert auth.use_ticket(unused) is None


def test_signing_out_everywhere_over_http_ends_it(hook, ada):
    key = key_of(ticket_of())
    assert ApiClient()("DELETE", "sessions", **bearer("ada")).status_code == 204
    assert auth.valid_logins([key]) == {}


def test_a_session_may_not_be_named_like_such_a_login(hook, ada):
    key = key_of(ticket_of())
    headers = {"cookie": f"sessionid={key}", "host": "testserver", "origin": "http://testserver"}
    scope = {"type": "websocket", "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    assert auth.authenticate([auth.Handshake(scope)]) == [None]


def test_signing_out_of_a_login_of_the_projects_is_refused(hook, ada):
    assert refusal(ApiClient()("DELETE", "session", **bearer("ada"))) == (403, "not_allowed")


def test_tickets_leave_no_rows_behind_that_are_over(hook, ada):
    for _ in range(3):
        ticket_of()
    expired(ada)
    ticket_of()
    assert UserSession.objects.filter(user=ada).count() == 1
    # A sign-in looks only at sessions.
    Client().force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert UserSession.objects.filter(user=ada).count() == 2
