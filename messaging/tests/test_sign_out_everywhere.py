"""Signing out everywhere ends every login of the user, and no other user's."""

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from messaging import sessions, tokens
from messaging.api.throttles import SIGN_OUTS_PER_BURST, sign_outs
from messaging.models import ApiToken
from messaging.tests.api_client import refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_buckets():
    sign_outs.clear()


def test_all_sessions_and_tokens_of_the_user_end_and_no_one_elses(ada, grace, as_user):
    here, there, other = as_user(ada), as_user(ada), as_user(grace)
    _, mine = tokens.make("Mine", user=ada)
    _, others = tokens.make("Another's", user=grace)
    _, publisher = tokens.make("A publisher", can_publish=True)
    assert here("DELETE", "sessions").status_code == 204
    for api in (here, there):
        assert api.get("session")["user"] is None
        assert refusal(api("GET", "profile")) == (401, "not_signed_in")
    assert other.get("session")["user"]["username"] == "grace"
    assert tokens.find(mine) is None
    assert tokens.find(others) is not None
    assert tokens.find(publisher) is not None
    assert Session.objects.count() == 1
    # And in again.
    assert here.sign_in("ada").status_code == 200
    assert here.get("profile")["user"]["username"] == "ada"


def test_a_program_may_ask_for_it_too(ada, as_user):
    api = as_user(ada)
    _, secret = tokens.make("Mine", user=ada)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client().delete("/api/v1/sessions", headers=bearer).status_code == 204
    assert refusal(Client().delete("/api/v1/sessions", headers=bearer)) == (401, "not_signed_in")
    assert api.get("session")["user"] is None


def test_it_needs_a_login_and_the_csrf_token(ada, as_user):
    assert refusal(Client().delete("/api/v1/sessions")) == (401, "not_signed_in")
    api = as_user(ada)
    api.token = ""
    assert refusal(api("DELETE", "sessions")) == (403, "csrf_failed")
    assert api.get("session")["user"] is not None


def test_since_each_reads_every_session_it_is_limited(ada, as_user):
    for _ in range(SIGN_OUTS_PER_BURST):
        assert as_user(ada)("DELETE", "sessions").status_code == 204
    refused = as_user(ada)("DELETE", "sessions")
    assert refusal(refused) == (429, "rate_limited")
    assert 0 < int(refused["Retry-After"]) <= 60


def test_sessions_in_the_database_with_a_cache_in_front_end_too(ada, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    client = Client()
    client.force_login(ada)
    assert client.get("/api/v1/session").json()["user"] is not None
    assert sessions.end_all(ada) == 1
    assert client.get("/api/v1/session").json()["user"] is None


def test_where_sessions_cannot_be_listed_it_is_no_silent_success(ada, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    tokens.make("Mine", user=ada)
    with pytest.raises(ImproperlyConfigured):
        sessions.end_all(ada)
    assert ApiToken.objects.filter(revoked_at=None).exists()


def test_it_takes_as_many_queries_however_many_sessions_others_have(
    ada, grace, as_user, django_assert_num_queries
):
    as_user(ada)
    with django_assert_num_queries(4):
        sessions.end_all(ada)
    for _ in range(10):
        Client().force_login(grace)
    as_user(ada)
    with django_assert_num_queries(4):
        sessions.end_all(ada)
