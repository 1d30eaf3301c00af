import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from config.demo.modules import STAGE, WELCOME
from messaging import tokens
from messaging.models import ApiToken, Message
from messaging.profiles import set_preferences

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings):
    settings.DEMO = True


@pytest.fixture
def browser():
    return Client(enforce_csrf_checks=True)


def sign_in(browser, body):
    token = browser.get("/api/v1/session").json()["csrf_token"]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-CSRFToken": token}
    return browser.generic("POST", "/demo/sign-in", raw, content_type="application/json", headers=headers)


class TestTheDemoPage:
    def test_shows_the_people_who_exist_and_sets_the_csrf_cookie(self, demo, browser, ada, grace):
        User.objects.filter(pk=ada.pk).update(first_name="Ada", last_name="Lovelace")
        response = browser.get("/")
        assert response.status_code == 200
        assert response.context["people"] == [
            {"username": "ada", "full_name": "Ada Lovelace"},
            {"username": "grace", "full_name": ""},
        ]
        assert "csrftoken" in response.cookies

    def test_can_be_read_before_any_script_has_loaded(self, demo, browser, ada, grace):
        html = browser.get("/").content.decode()
        assert 'data-part="welcome">' in html
        assert 'data-part="opening" hidden>' in html
        # Of what blocks the first rendering there is one style sheet; the rest comes after the text.
        head, _, body = html.partition("<body>")
        assert head.count('rel="stylesheet"') == 1
        assert "<script" not in head
        assert body.count('rel="modulepreload"') == len([*WELCOME, *STAGE])
        assert body.index("What to try") < body.index('rel="modulepreload"') < body.index("demo/stage.js")

    def test_shows_no_welcome_to_those_who_are_signed_in(self, demo, browser, ada):
        browser.force_login(ada)
        html = browser.get("/").content.decode()
        assert 'data-part="welcome" hidden>' in html
        assert 'data-part="opening">' in html

    def test_is_in_the_language_of_who_is_signed_in_with_its_words_preloaded(self, demo, browser, ada):
        html = browser.get("/").content.decode()
        assert '<html lang="en" dir="ltr">' in html
        assert '<option value="ja" lang="ja" dir="ltr">日本語</option>' in html
        for language, opening in (("ja", '<html lang="ja" dir="ltr">'), ("ar", '<html lang="ar" dir="rtl">')):
            set_preferences(ada, language=language)
            browser.force_login(ada)
            html = browser.get("/").content.decode()
            assert opening in html
            assert html.count(f"words/{language}.js") == 1

    def test_names_no_superuser(self, demo, browser, ada):
        User.objects.create_superuser("root")
        assert "root" not in browser.get("/").content.decode()

    def test_is_a_line_of_text_without_demo(self, settings, browser, ada):
        settings.DEMO = False
        response = browser.get("/")
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")
        assert b"ada" not in response.content


class TestTheDemoSignIn:
    def test_signs_in_with_one_click(self, demo, browser, ada):
        response = sign_in(browser, {"username": "ada"})
        assert response.status_code == 200
        assert response.json()["user"] == {"id": ada.pk, "username": "ada"}
        headers = {"X-CSRFToken": response.json()["csrf_token"]}
        assert browser.get("/api/v1/session").json()["user"]["username"] == "ada"
        assert browser.delete("/api/v1/session", headers=headers).status_code == 204

    @pytest.mark.parametrize("with_token", [False, True])
    def test_says_in_which_language_the_seat_is(self, demo, browser, ada, with_token):
        body = {"username": "ada", "token": with_token}
        assert sign_in(browser, body).json()["language"] == "en"
        set_preferences(ada, language="ja")
        assert sign_in(browser, body).json()["language"] == "ja"

    @pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}, {"is_active": False}])
    def test_refuses_staff_superusers_and_inactive_users(self, demo, browser, ada, rights):
        User.objects.filter(pk=ada.pk).update(**rights)
        assert sign_in(browser, {"username": "ada"}).status_code == 404
        assert browser.get("/api/v1/session").json()["user"] is None

    @pytest.mark.parametrize(
        "body", [{"username": "eve"}, {"username": "a\0"}, {"username": 5}, {"username": ["ada"]}, {}, []]
    )
    def test_refuses_any_other_name(self, demo, browser, ada, body):
        User.objects.create_user("eve")
        response = sign_in(browser, body)
        assert (response.status_code, response.json()["code"]) == (404, "unknown_user")

    def test_what_is_not_json_is_refused(self, demo, browser):
        for body in (b"", b"{", b"\xff", b"[" * 100_000):
            assert sign_in(browser, body).status_code == 400

    def test_is_not_there_without_demo(self, settings, browser, ada):
        settings.DEMO = False
        assert sign_in(browser, {"username": "ada"}).status_code == 404

    def test_gives_a_second_person_an_api_token_and_leaves_the_login_unchanged(
        self, demo, browser, ada, grace
    ):
        sign_in(browser, {"username": "ada"})
        answer = sign_in(browser, {"username": "grace", "token": True}).json()
        assert answer["user"] == {"id": grace.pk, "username": "grace"}
        assert browser.get("/api/v1/session").json()["user"]["username"] == "ada"
        token = tokens.find(answer["token"])
        assert (token.user, token.can_publish) == (grace, False)

    def test_deletes_older_demo_tokens_of_that_person_only(self, demo, browser, ada, grace):
        for user in (ada, grace):
            sign_in(browser, {"username": user.username, "token": True})
        own, _ = tokens.make("my phone", user=ada)
        ApiToken.objects.update(created_at=Now() - timedelta(days=2))
        sign_in(browser, {"username": "ada", "token": True})
        assert ApiToken.objects.filter(user=grace).count() == 1
        assert set(ApiToken.objects.filter(user=ada, created_at__lt=Now() - timedelta(days=1))) == {own}
        assert ApiToken.objects.filter(user=ada).count() == 2

    def test_keeps_the_newest_ten_tokens_of_that_person(self, demo, browser, ada, grace):
        sign_in(browser, {"username": "grace", "token": True})
        own, _ = tokens.make("my phone", user=ada)
        secrets = [sign_in(browser, {"username": "ada", "token": True}).json()["token"] for _ in range(12)]
        assert [tokens.find(secret) is not None for secret in secrets] == [False] * 2 + [True] * 10
        assert own in ApiToken.objects.filter(user=ada)
        assert ApiToken.objects.filter(user=grace).count() == 1

    def test_needs_the_csrf_token(self, demo, browser, ada):
        response = browser.post("/demo/sign-in", {"username": "ada"}, content_type="application/json")
        assert response.status_code == 403
        assert browser.get("/demo/sign-in").status_code == 405
        assert not Message.objects.exists()
