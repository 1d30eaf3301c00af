"""This project's admin is in the language that the browser asks for; the API's answers are as they are."""

import pytest
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import translation

pytestmark = pytest.mark.django_db(transaction=True)

LOGIN = reverse("admin:login")


def test_the_admin_is_in_the_browsers_language():
    for asked, title in (
        ("de-AT,de;q=0.8", "Anmelden"),
        ("ja", "ログイン"),
        ("tlh", "Log in"),
        ("", "Log in"),
    ):
        page = Client().get(LOGIN, headers={"Accept-Language": asked})
        assert title in page.content.decode()
        assert "Accept-Language" in page["Vary"]
        assert translation.get_language() == "en-us"


async def test_under_asgi_too():
    page = await AsyncClient().get(LOGIN, headers={"Accept-Language": "de"})
    assert "Anmelden" in page.content.decode()
    assert translation.get_language() == "en-us"


@pytest.mark.parametrize("path", ["/api/v1/session", "/api/v1/notifications", "/healthz"])
def test_nothing_else_changes_with_it(path):
    plain, german = Client().get(path), Client().get(path, headers={"Accept-Language": "de"})
    assert (german.status_code, german.get("Vary")) == (plain.status_code, plain.get("Vary"))
    assert "Content-Language" not in german
    if path.endswith("notifications"):
        assert german.content == plain.content == b'{"detail": "Sign in first.", "code": "not_signed_in"}'
