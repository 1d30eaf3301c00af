"""The content security policy: the admin works under it, and it does forbid."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page

from tests.live.servers import Server, manage

ROOT = """
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.create_superuser("root")
session = SessionStore()
session.update({"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
    "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0]})
session.save()
print(session.session_key)
"""
LISTEN = """
window.forbidden = [];
document.addEventListener("securitypolicyviolation", (event) => window.forbidden.push(event.violatedDirective));
"""


@pytest.fixture
def session(server: Server, environment: dict[str, str]) -> Iterator[str]:
    """The login of an administrator, who is gone afterwards: the other tests count the people."""
    yield manage(environment, "shell", "-v0", "-c", ROOT).strip()
    gone = "from django.contrib.auth.models import User; User.objects.filter(username='root').delete()"
    manage(environment, "shell", "-v0", "-c", gone)


async def forbidden(page: Page) -> list[str]:
    found: list[str] = await page.evaluate("window.forbidden")
    return found


async def test_the_admin_works_under_the_policy_which_forbids_inline_script(
    browser: Browser, server: Server, session: str
) -> None:
    context = await browser.new_context()
    await context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    page = await context.new_page()
    await page.add_init_script(LISTEN)
    for path in (
        "",
        "messaging/userprofile/",
        "messaging/notification/",
        "messaging/message/add/",
        "auth/user/1/change/",
    ):
        answer = await page.goto(f"{server.url}/admin/{path}")
        assert answer is not None
        assert answer.status == 200
        await page.get_by_text("root").first.wait_for()
        assert await forbidden(page) == [], path
    # Its scripts run: the choice of a user is a widget of theirs.
    await page.goto(f"{server.url}/admin/messaging/message/add/")
    await page.locator(".select2-selection").first.wait_for()
    assert await forbidden(page) == []

    # The negative control.
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}))"
    )
    assert await page.evaluate("window.ran") is None
    assert "script-src-elem" in await forbidden(page)
    await context.close()
