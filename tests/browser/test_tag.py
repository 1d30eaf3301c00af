"""`{% doorbell %}` in a project of its own: under a prefix and a strict policy, without script, and how it looks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from conftest import size
from tests.hosts.project import HostProject
from tests.hosts.visitor import set_up
from tests.live.servers import Server, find_faults

from .conftest import caught_up

URLS = """
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
def page(name):
    return TemplateView.as_view(template_name=name)
urlpatterns = [
    path("", page("home.html")),
    path("apart/", page("apart.html")),
    path("admin/", admin.site.urls),
    path("notify/", include("realtime.urls")),
]
"""
APART = """
{% load doorbell %}<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>My shop</title>
<header>{% doorbell "bell" %}</header>
<main><h1>My shop</h1></main>
<footer>{% doorbell "toasts" %}</footer>
</html>
"""
# Nonces only: what has none isn't run, or applied, and nothing is fetched but from here.
STRICT = """
from csp.constants import NONCE, STRICT_DYNAMIC
INSTALLED_APPS.append("csp")
MIDDLEWARE.append("csp.middleware.CSPMiddleware")
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {
    "default-src": ["'none'"], "script-src": [NONCE, STRICT_DYNAMIC], "style-src": [NONCE],
    "connect-src": ["'self'"], "base-uri": ["'none'"],
}}
"""
# A middleware of nginx' kind: it serves below /app, and removes that before Django sees the request.
STRIPPING = """
from realtime.asgi import with_sockets
django = with_sockets()
async def application(scope, receive, send):
    path = scope["path"]
    # What is outside belongs to another server, and isn't there.
    path = path.removeprefix("/app") if path.startswith("/app/") else "/nowhere"
    await django({**scope, "path": path, "raw_path": path.encode()}, receive, send)
"""
LISTEN = """
window.forbidden = [];
document.addEventListener("securitypolicyviolation", (event) => window.forbidden.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HostProject:
    files = {"mysite/urls.py": URLS, "mysite/templates/apart.html": APART}
    project = HostProject(tmp_path_factory.mktemp("tag"), STRICT, files)
    set_up(project)
    return project


@pytest.fixture(scope="module")
def host(project: HostProject) -> Iterator[Server]:
    server = project.start("runserver")
    yield server
    server.kill()
    assert not find_faults([(project.log, 0)])


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, project: HostProject, host: Server) -> AsyncIterator[BrowserContext]:
    """A browser in which ada is signed in."""
    context = await browser.new_context()
    await sign_in(context, project, host.url)
    yield context
    await context.close()


async def sign_in(context: BrowserContext, project: HostProject, url: str) -> None:
    code = (
        "from django.contrib.auth.models import User; from django.test import Client; client = Client();"
        "client.force_login(User.objects.get(username='ada')); print(client.cookies['sessionid'].value)"
    )
    key = await asyncio.to_thread(project.shell, code)
    await context.add_cookies([{"name": "sessionid", "value": key.strip(), "url": url}])


async def synced(page: Page, address: str) -> None:
    """Open a page, and wait until its socket has caught up."""
    done = caught_up(page)
    await page.goto(address)
    await asyncio.wait_for(done.wait(), 60)


async def test_under_a_prefix_and_a_policy_of_nonces_bell_and_toasts_work(
    context: BrowserContext, project: HostProject, host: Server
) -> None:
    page = await context.new_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url.removeprefix(host.url)))
    page.on("websocket", lambda socket: requested.append(socket.url.partition("?")[0]))
    await page.add_init_script(LISTEN)
    await synced(page, f"{host.url}/apart/")
    await asyncio.to_thread(project.manage, "notify", "ada", "Under a prefix")
    await expect(page.get_by_test_id("toast").filter(has_text="Under a prefix")).to_be_visible(timeout=60_000)
    await page.get_by_test_id("bell").click()
    await expect(page.get_by_test_id("notification-item").first).to_be_visible()
    # Marked read by the API, with its CSRF token.
    await page.get_by_test_id("bell-read-all").click()
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", "0")
    assert await page.evaluate("window.forbidden") == []
    assert "/notify/api/v1/notifications?limit=50" in [url for url in requested if "notifications?" in url]
    assert f"ws://{host.address}/notify/ws/notifications/" in requested
    assert not [url for url in requested if url.startswith("/api/")]
    # Each module once, and at the address at which it was preloaded.
    modules = [url for url in requested if url.endswith(".js")]
    assert len(modules) == len(set(modules))
    # The control: the policy does forbid.
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))"
    )
    assert "style-src-elem" in await page.evaluate("window.forbidden")
    # An element that is added later has the page's client, too.
    await page.evaluate("document.body.append(document.createElement('doorbell-list'))")
    await expect(page.locator("body > doorbell-list").get_by_text("Under a prefix").first).to_be_visible()


async def test_the_count_is_right_before_any_script_and_without_one(
    browser: Browser, project: HostProject, host: Server
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    await sign_in(context, project, host.url)
    counted = (
        "from messaging.models import Notification;"
        "print(Notification.objects.filter(user__username='ada', is_read=False).count())"
    )
    await asyncio.to_thread(project.manage, "notify", "ada", "Before any script")
    count = int(await asyncio.to_thread(project.shell, counted))
    assert count >= 1
    page = await context.new_page()
    await page.goto(f"{host.url}/")
    await expect(page.get_by_role("img", name=f"Notifications, {count} unread")).to_be_visible()
    await expect(page.locator(".bell-badge")).to_have_text(str(count))
    await context.close()


async def test_a_visitor_who_isnt_signed_in_connects_to_nothing(browser: Browser, host: Server) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("websocket", lambda socket: requested.append(socket.url))
    await page.goto(f"{host.url}/apart/", wait_until="networkidle")
    await expect(page.get_by_role("heading", name="My shop")).to_be_visible()
    assert [url for url in requested if "favicon" not in url] == [f"{host.url}/apart/"]
    await context.close()


async def test_below_a_script_prefix_that_a_proxy_strips(browser: Browser, tmp_path: Path) -> None:
    settings = "FORCE_SCRIPT_NAME = '/app'\nASGI_APPLICATION = 'mysite.asgi.application'\n"
    files = {"mysite/urls.py": URLS, "mysite/asgi.py": STRIPPING}
    project = HostProject(tmp_path, settings, files)
    set_up(project)
    server = project.start("runserver")
    context = await browser.new_context()
    try:
        await sign_in(context, project, server.url)
        page = await context.new_page()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url.partition("?")[0]))
        await synced(page, f"{server.url}/app/")
        assert sockets == [f"ws://{server.address}/app/notify/ws/notifications/"]
        await asyncio.to_thread(project.manage, "notify", "ada", "Below a script prefix")
        toast = page.get_by_test_id("toast").filter(has_text="Below a script prefix")
        await expect(toast).to_be_visible(timeout=60_000)
        answer = await page.goto(f"{server.url}/app/notify/api/v1/openapi.json")
        assert answer is not None
        assert "/app/notify/api/v1/session" in (await answer.json())["paths"]
    finally:
        await context.close()
        server.kill()
    assert not find_faults([(project.log, 0)])


# In `make test` each scheme and each width once.
VIEWS = [("light", 1200), ("dark", 1200), ("light", 390), ("dark", 390)][:: size(3, full=1)]


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
async def test_how_it_looks(
    browser: Browser, project: HostProject, host: Server, pictures: Path, width: int, scheme: str
) -> None:
    look: dict[str, Any] = {"viewport": {"width": width, "height": 700}, "color_scheme": scheme}
    context = await browser.new_context(**look)
    await sign_in(context, project, host.url)
    page = await context.new_page()
    await synced(page, f"{host.url}/")
    await page.locator("doorbell-toasts").evaluate("region => region.setAttribute('duration', '600000')")
    await asyncio.to_thread(project.manage, "notify", "ada", "It rings", "From my own project.")
    await expect(page.get_by_test_id("toast").filter(has_text="It rings").first).to_be_visible(timeout=60_000)
    await page.screenshot(path=pictures / f"tag-{scheme}-{width}.png")
    before = await page.locator("doorbell-bell").bounding_box()
    # The bell doesn't move when its script puts a button in the place of what the server has rendered.
    still = await browser.new_context(**look, java_script_enabled=False)
    await sign_in(still, project, host.url)
    rendered = await still.new_page()
    await rendered.goto(f"{host.url}/")
    assert await rendered.locator("doorbell-bell").bounding_box() == before
    await rendered.screenshot(path=pictures / f"tag-noscript-{scheme}-{width}.png")
    await still.close()
    await context.close()
