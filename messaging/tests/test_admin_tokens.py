"""API tokens in the admin: shown once, renamed, revoked."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from messaging import tokens
from messaging.models import ApiToken
from messaging.tests.admin_client import admin_url

pytestmark = pytest.mark.django_db(transaction=True)


def secret_in(page):
    return page.split("<code>")[1].split("</code>")[0]


def test_a_tokens_secret_is_shown_once(admin, ada):
    shown = admin.post(reverse("admin:messaging_apitoken_add"), name="<shop>", can_publish="on")
    secret = secret_in(shown)
    assert "&lt;shop&gt;" in shown
    token = tokens.find(secret)
    assert (token.name, token.can_publish, token.user) == ("<shop>", True, None)
    for later in (admin.list("messaging_apitoken"), admin.page(token)):
        assert secret not in later
        assert token.hash not in later
    assert secret not in str(list(LogEntry.objects.values()))


def test_a_token_that_could_do_nothing_is_refused(admin):
    shown = admin.post(reverse("admin:messaging_apitoken_add"), name="shop")
    assert "in whose name the token acts, or grant it" in shown
    assert not ApiToken.objects.exists()


def test_a_tokens_name_can_be_changed_and_nothing_else(admin, ada):
    token, secret = tokens.make("phone", user=ada)
    admin.post(
        admin_url(token, "change"),
        name="telephone",
        hash="x",
        can_publish="on",
        user="",
        revoked_at_0="2020-01-01",
    )
    assert tokens.find(secret) == token
    token.refresh_from_db()
    assert (token.name, token.can_publish, token.user) == ("telephone", False, ada)


def test_a_revoked_token_is_worth_nothing_and_stays_revoked(admin, ada):
    token, secret = tokens.make("phone", user=ada)
    assert "1 token revoked." in admin.run_action("revoke", token)
    assert tokens.find(secret) is None
    moment = ApiToken.objects.get().revoked_at
    assert LogEntry.objects.get().change_message == "Revoked. It acts in the name of ada."
    assert "0 tokens revoked." in admin.run_action("revoke", token)
    assert ApiToken.objects.get().revoked_at == moment
