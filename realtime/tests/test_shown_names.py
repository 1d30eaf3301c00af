"""The name in `hello` is the one that others see, whichever login a socket has."""

import pytest
from django.test import Client

from messaging import tokens
from realtime import auth

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("setting", "shown"),
    [(None, "ada"), ("messaging.names.FullName", "Ada Lovelace")],
    ids=["default", "chosen"],
)
def test_both_kinds_of_login_have_the_shown_name(ada, settings, setting, shown):
    settings.DOORBELL_NAME = setting
    ada.first_name, ada.last_name = "Ada", "Lovelace"
    ada.save()
    client = Client()
    client.force_login(ada, "django.contrib.auth.backends.ModelBackend")
    token, _ = tokens.make("phone", user=ada)
    keys = {str(client.session.session_key), f"{auth.TOKEN_PREFIX}{token.pk}"}
    assert {user.username for user in auth.valid_logins(keys).values()} == {shown}
    assert auth.valid_logins(keys).keys() == keys
