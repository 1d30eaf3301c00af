"""API tokens: shown once, stored as hashes, limited to their rights."""

import io

import pytest
from django.core.management import CommandError, call_command

from messaging import tokens, users
from messaging.models import ApiToken
from messaging.tests.api_client import ApiClient, refusal


def test_the_secret_is_kept_nowhere(ada):
    token, secret = tokens.make("shop", user=ada)
    assert tokens.find(secret) == token
    assert secret not in str(ApiToken.objects.values())


def test_a_users_token_acts_in_their_name_without_csrf(ada, grace):
    _, secret = tokens.make("phone", user=ada)
    sent = ApiClient()(
        "POST", "messages", {"receiver": "grace", "content": "Hi"}, Authorization=f"Bearer {secret}"
    )
    assert sent.status_code == 201
    assert sent.json()["sender"]["username"] == "ada"


def test_a_token_is_looked_at_before_a_session(ada, grace, as_user):
    _, secret = tokens.make("phone", user=grace)
    answer = as_user(ada)(
        "POST", "messages", {"receiver": "ada", "content": "Hi"}, Authorization=f"Bearer {secret}"
    )
    assert answer.json()["sender"]["username"] == "grace"


def test_a_publishing_token_has_no_user(db):
    _, secret = tokens.make("shop", can_publish=True)
    assert refusal(ApiClient()("GET", "notifications", Authorization=f"Bearer {secret}")) == (
        403,
        "not_allowed",
    )


@pytest.mark.parametrize("secret", ["", "nonsense", "doorbell_x", "\N{SNOWMAN}"])
def test_an_unknown_secret_is_refused(db, secret):
    assert tokens.find(secret) is None


def test_the_token_of_a_deactivated_user_is_refused(ada):
    _, secret = tokens.make("phone", user=ada)
    ada.is_active = False
    ada.save()
    assert tokens.find(secret) is None


@pytest.mark.parametrize("activity", ["constant", "computed"])
def test_a_users_token_works_where_no_column_says_who_is_active(ada, monkeypatch, activity):
    monkeypatch.setattr(users, "_activity", lambda model: activity)
    token, secret = tokens.make("phone", user=ada)
    assert tokens.find(secret) == token
    _, for_all = tokens.make("shop", can_publish=True)
    assert tokens.find(for_all) is not None


def test_the_command_prints_a_secret_that_works(ada):
    printed = io.StringIO()
    call_command("create_api_token", "shop", stdout=printed)
    found = tokens.find(printed.getvalue().strip())
    assert found is not None
    assert (found.name, found.can_publish, found.user) == ("shop", True, None)
    call_command("create_api_token", "phone", "--user", "ada", stdout=(printed := io.StringIO()))
    own = tokens.find(printed.getvalue().strip())
    assert own is not None
    assert (own.user, own.can_publish) == (ada, False)


@pytest.mark.parametrize("arguments", [["x" * 101], [""], ["phone", "--user", "nobody"]])
def test_the_command_says_what_is_wrong(db, arguments):
    with pytest.raises(CommandError):
        call_command("create_api_token", *arguments)
    assert not ApiToken.objects.exists()


def test_a_second_valid_token_of_a_name_is_made_and_pointed_out(db):
    def made():
        printed, said = io.StringIO(), io.StringIO()
        call_command("create_api_token", "shop", stdout=printed, stderr=said)
        return tokens.find(printed.getvalue().strip()), said.getvalue()

    first, said = made()
    assert said == ""
    second, said = made()
    assert said.startswith("Valid tokens named 'shop' before this one: 1. They stay valid;")
    assert None not in (first, second)
    tokens.revoke(first)
    tokens.revoke(second)
    assert made()[1] == ""
