"""Signing out everywhere ends every login of the user, and no other user's."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.utils import timezone

from messaging import checks, sessions, tokens
from messaging.api.throttles import SIGN_OUTS_PER_BURST, sign_outs
from messaging.models import ApiToken, UserSession
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


@pytest.mark.parametrize("engine", ["cache", "file", "cached_db", "db"])
def test_sessions_end_wherever_they_are_kept(ada, grace, as_user, settings, tmp_path, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    here, there, other = as_user(ada), as_user(ada), as_user(grace)
    assert here("DELETE", "sessions").status_code == 204
    for api in (here, there):
        assert refusal(api("GET", "profile")) == (401, "not_signed_in")
    assert other.get("session")["user"]["username"] == "grace"
    assert list(UserSession.objects.values_list("user_id", flat=True)) == [grace.pk]


def test_where_sessions_cannot_be_ended_it_is_no_silent_success(ada, as_user, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    tokens.make("Mine", user=ada)
    assert refusal(as_user(ada)("DELETE", "sessions")) == (409, "sessions_in_cookies")
    assert ApiToken.objects.filter(revoked_at=None).exists()
    assert [warning.id for warning in checks.sessions_in_cookies()] == ["messaging.W003"]


def test_a_session_that_was_signed_with_another_key_ends_too(ada, grace, as_user, settings):
    settings.SECRET_KEY = "that of the processes before"
    as_user(ada), as_user(grace)
    settings.SECRET_KEY = "a new one, without a fallback"
    assert [row.get_decoded() for row in Session.objects.all()] == [{}, {}]
    here = as_user(ada)
    assert here("DELETE", "sessions").status_code == 204
    assert Session.objects.count() == 1
    assert list(UserSession.objects.values_list("user_id", flat=True)) == [grace.pk]


def test_a_session_that_began_without_a_sign_in_ends_if_the_database_can_list_it(ada, as_user):
    api = as_user(ada)
    UserSession.objects.all().delete()
    assert sessions.end_all(ada) == 1
    assert api.get("session")["user"] is None


class TestWhoseSessionIsRemembered:
    def test_from_signing_in_to_signing_out(self, ada, grace, as_user):
        api = as_user(ada)
        key = api.client.cookies["sessionid"].value
        assert list(UserSession.objects.values_list("user_id", "session_key")) == [(ada.pk, key)]
        # Again as the same user: the same session. As another: a new one.
        api.sign_in("ada")
        assert UserSession.objects.count() == 1
        api.sign_in("grace")
        key = api.client.cookies["sessionid"].value
        assert UserSession.objects.filter(user=grace, session_key=key).exists()
        api("DELETE", "session")
        assert not UserSession.objects.filter(user=grace).exists()

    def test_a_session_that_is_over_is_forgotten_and_a_prolonged_one_is_not(self, ada, as_user):
        over, prolonged = as_user(ada), as_user(ada)
        past = timezone.now() - timedelta(days=1)
        UserSession.objects.update(expires_at=past)
        Session.objects.filter(session_key=over.client.cookies["sessionid"].value).delete()
        latest = as_user(ada)
        kept = set(UserSession.objects.filter(expires_at__gt=past).values_list("session_key", flat=True))
        assert kept == {api.client.cookies["sessionid"].value for api in (prolonged, latest)}
        assert UserSession.objects.count() == 2

    def test_beyond_a_thousand_the_oldest_session_ends(self, ada, as_user, monkeypatch):
        monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
        opened = [as_user(ada) for _ in range(5)]
        assert [api.get("session")["user"] is not None for api in opened] == [False] * 2 + [True] * 3
        assert Session.objects.count() == UserSession.objects.count() == 3

    def test_a_sign_in_without_a_session_is_left_alone(self, ada):
        user_logged_in.send(sender=User, request=RequestFactory().get("/"), user=ada)
        user_logged_out.send(sender=User, request=RequestFactory().get("/"), user=None)
        assert not UserSession.objects.exists()

    def test_it_goes_with_its_user(self, ada, as_user):
        as_user(ada)
        ada.delete()
        assert not UserSession.objects.exists()


def test_it_takes_as_many_queries_however_many_sessions_others_have(
    ada, grace, as_user, django_assert_num_queries
):
    as_user(ada)
    with django_assert_num_queries(6):
        sessions.end_all(ada)
    for _ in range(10):
        Client().force_login(grace)
    as_user(ada)
    with django_assert_num_queries(6):
        sessions.end_all(ada)
