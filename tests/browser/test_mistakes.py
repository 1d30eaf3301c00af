"""What a page says when something is missing: bell and console in Chromium, in a project made by docs/install.md.

Its own page has the lines of docs/client.md under the policy that is named there.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.hosts.project import HostProject
from tests.hosts.visitor import set_up
from tests.live.servers import ROOT, Server

from .conftest import caught_up
from .test_client_page import block
from .test_tag import LISTEN, sign_in

CLIENT = (ROOT / "docs/client.md").read_text()
MISTAKES = re.sub(r"\s+", " ", (ROOT / "docs/mistakes.md").read_text())
[POLICY] = re.findall(r"^Content-Security-Policy: (.+)$", CLIENT, re.MULTILINE)
HEAD = """{% load static %}<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{% static 'page.css' %}">
<title>My site</title>
<h1>My site</h1>
"""
BARE = (
    HEAD
    + """
<link rel="stylesheet" href="{% static 'bell/bell.css' %}">
<script type="module" src="{% static 'bare.js' %}"></script>
<doorbell-bell></doorbell-bell>
<doorbell-toasts></doorbell-toasts>
"""
)
PAGES = f"""
from django.contrib import admin
from django.urls import path
from django.views.generic import TemplateView
class Page(TemplateView):
    policy = {POLICY!r}
    def render_to_response(self, context, **arguments):
        answer = super().render_to_response(context, **arguments)
        answer["Content-Security-Policy"] = self.policy
        return answer
urlpatterns = [
    path("own/", Page.as_view(template_name="own.html")),
    path("bare/", Page.as_view(template_name="bare.html")),
    path("strict/", Page.as_view(template_name="own.html", policy=Page.policy.partition("; connect-src")[0])),
    path("admin/", admin.site.urls),
]
"""
SIGN_OUT = """async () => {
    const { csrf_token, csrf_header } = await (await fetch("/api/v1/session")).json();
    await fetch("/api/v1/session", { method: "DELETE", headers: { [csrf_header]: csrf_token } });
}"""
FILES = {
    "mysite/pages.py": PAGES,
    "mysite/urls.py": "from django.urls import include, path\nfrom mysite.pages import urlpatterns as pages\n"
    'urlpatterns = [*pages, path("", include("realtime.urls"))]',
    "mysite/no_urls.py": "from mysite.pages import urlpatterns",
    "mysite/no_daphne.py": "from mysite.settings import *\nINSTALLED_APPS.remove('daphne')",
    "mysite/no_api.py": "from mysite.settings import *\nROOT_URLCONF = 'mysite.no_urls'",
    "mysite/templates/own.html": f"{HEAD}{block('html')}",
    "mysite/templates/bare.html": BARE,
    "mysite/static/notify.js": block("js"),
    "mysite/static/bare.js": 'import "./bell/define.js";\nimport "./toast/define.js";',
    "mysite/static/page.css": ":root { color-scheme: light dark } body { margin: 1rem 24rem 26rem 26rem }",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HostProject:
    project = HostProject(tmp_path_factory.mktemp("mistakes"), "", FILES)
    set_up(project)
    return project


@contextmanager
def served(project: HostProject, settings: str) -> Iterator[Server]:
    project.environment["DJANGO_SETTINGS_MODULE"] = f"mysite.{settings}"
    server = project.start("runserver")
    try:
        yield server
    finally:
        server.kill()
        project.environment.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.fixture(scope="module")
def host(project: HostProject) -> Iterator[Server]:
    with served(project, "settings") as server:
        yield server


@asynccontextmanager
async def opened(
    browser: Browser, project: HostProject, url: str, name: str = ""
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page, and what its console says. `name`: who is signed in."""
    context = await browser.new_context(viewport={"width": 1000, "height": 520})
    if name:
        await sign_in(context, project, url)
    page = await context.new_page()
    console: list[str] = []
    page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
    await page.add_init_script(LISTEN)
    yield page, console
    await context.close()


async def says(page: Page, name: str, text: str, pictures: Path, picture: str) -> None:
    """The bell has this accessible name, and its list says this; both are pictured, light and dark."""
    bell = page.get_by_test_id("bell")
    await expect(bell).to_have_accessible_name(name, timeout=60_000)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.screenshot(path=pictures / f"bell-{picture}-{scheme}.png")
        await bell.press("Enter")
        await expect(page.locator("doorbell-bell").get_by_text(text).first).to_be_visible()
        await page.screenshot(path=pictures / f"bell-{picture}-open-{scheme}.png")
        await page.keyboard.press("Escape")
        await expect(bell).to_be_focused()


async def logged(console: list[str], *parts: str) -> None:
    """One line of the console has all of these."""
    for _ in range(300):
        if any(all(part in line for part in parts) for line in console):
            return
        await asyncio.sleep(0.1)
    raise AssertionError((parts, console))


async def test_m5_no_client(browser: Browser, project: HostProject, host: Server, pictures: Path) -> None:
    async with opened(browser, project, host.url) as (page, console):
        await page.goto(f"{host.url}/bare/")
        await says(
            page,
            "Notifications, not set up",
            "Notifications aren't set up on this page.",
            pictures,
            "no-client",
        )
        for tag in ("doorbell-bell", "doorbell-toasts"):
            said = (
                f"Doorbell: <{tag}> has no client, so it shows nothing. In the template: "
                "{% load doorbell %}{% doorbell %}."
            )
            await logged(console, "warning: ", said, f'document.querySelector("{tag}").client = connect();')
            assert said.replace("toasts", "bell") in MISTAKES
        # The control: with the line that it names there is one.
        await page.evaluate(
            """async () => {
                const { connect } = await import("/static/client/connect.js");
                document.querySelector("doorbell-bell").client = connect();
            }"""
        )
        await expect(page.get_by_test_id("bell")).to_have_accessible_name("Notifications, signed out")


async def test_m8_nobody_is_signed_in(
    browser: Browser, project: HostProject, host: Server, pictures: Path
) -> None:
    async with opened(browser, project, host.url) as (page, _):
        await page.goto(f"{host.url}/own/")
        await says(
            page, "Notifications, signed out", "Sign in to see your notifications.", pictures, "signed-out"
        )
        await expect(page.get_by_test_id("badge")).to_be_hidden()
        await page.get_by_test_id("bell").press("Enter")
        await expect(page.get_by_test_id("bell-panel").get_by_role("button")).to_have_count(0)


async def test_read_empty_full_and_old_under_the_policy_of_the_page(
    browser: Browser, project: HostProject, host: Server, pictures: Path
) -> None:
    answered = asyncio.Event()

    async def wait(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    async with opened(browser, project, host.url, "ada") as (page, _):
        await page.route("**/api/v1/notifications?*", wait)
        synced = caught_up(page)
        await page.goto(f"{host.url}/own/")
        await says(page, "Notifications", "Reading your notifications…", pictures, "reading")
        answered.set()
        empty = "No notifications yet. New ones appear here."
        await says(page, "Notifications, none unread", empty, pictures, "empty")
        await asyncio.wait_for(synced.wait(), 60)
        await asyncio.to_thread(project.manage, "notify", "ada", "Under the policy", "--url", "/own/")
        toast = page.get_by_test_id("toast").filter(has_text="Under the policy")
        await expect(toast).to_be_visible(timeout=60_000)
        await page.screenshot(path=pictures / "bell-toast.png")
        await page.locator("doorbell-toasts").evaluate("region => region.clear()")
        await says(page, "Notifications, 1 unread", "Under the policy", pictures, "full")
        assert await page.evaluate("window.forbidden") == []
        # The server is gone: a person whose screen reader is in the open list hears of it.
        await page.get_by_test_id("bell").press("Enter")
        region = page.locator("doorbell-list [role=status]")
        await expect(region).to_have_text("")
        await page.context.set_offline(True)
        await page.evaluate("document.querySelector('doorbell-bell').client.reconnect()")
        await expect(region).to_have_text("Reconnecting; this may be old.")
        await page.context.set_offline(False)
        await expect(region).to_have_text("", timeout=60_000)
        await expect(page.get_by_test_id("bell")).to_have_accessible_name("Notifications, 1 unread")
        # Signed out in another tab while the focus is in the list: no rows and nothing to press are left.
        await page.get_by_test_id("bell-read-all").focus()
        await page.evaluate(SIGN_OUT)
        await expect(page.locator("doorbell-list .bell-empty")).to_have_text(
            "Sign in to see your notifications."
        )
        await expect(page.get_by_test_id("notification-item")).to_have_count(0)
        await expect(page.get_by_test_id("bell-panel").get_by_role("button")).to_have_count(0)
        await expect(page.get_by_test_id("bell")).to_be_focused()


async def test_m7_a_policy_that_forbids_requests(
    browser: Browser, project: HostProject, host: Server, pictures: Path
) -> None:
    async with opened(browser, project, host.url, "ada") as (page, console):
        await page.goto(f"{host.url}/strict/")
        await says(
            page, "Notifications, no connection", "No connection yet; trying again.", pictures, "connecting"
        )
        await logged(console, "error: ", "Content Security Policy", "connect-src")


async def test_m4_a_server_without_sockets(browser: Browser, project: HostProject, pictures: Path) -> None:
    await asyncio.to_thread(project.manage, "notify", "ada", "Before", "--level", "warning")
    with served(project, "no_daphne") as server:
        async with opened(browser, project, server.url, "ada") as (page, console):
            await page.goto(f"{server.url}/own/")
            await expect(page.locator("doorbell-bell")).to_have_attribute(
                "data-status", "cut-off", timeout=60_000
            )
            name = await page.get_by_test_id("bell").get_attribute("aria-label")
            assert re.fullmatch(r"Notifications, \d unread, reconnecting", name or "")
            await says(page, name or "", "Reconnecting; this may be old.", pictures, "cut-off")
            address = f"ws://{server.address}/ws/notifications/"
            said = f"Doorbell: the WebSocket {address} has never opened; it is tried again."
            await logged(console, "warning: ", said, "`manage.py check`")
            assert said.replace(server.address, "…") in MISTAKES


async def test_m4c_no_urls(browser: Browser, project: HostProject, pictures: Path) -> None:
    with served(project, "no_api") as server:
        async with opened(browser, project, server.url, "ada") as (page, console):
            await page.goto(f"{server.url}/own/")
            text = "Notifications can't be loaded."
            await says(page, "Notifications, can't be loaded", text, pictures, "unavailable")
            said = (
                f"Doorbell: there is no API at {server.url}/api/v1/session. Include it in the project's urls.py: "
                'urlpatterns += [path("", include("realtime.urls"))].'
            )
            await logged(console, "error: ", said)
            assert said.replace(server.address, "…") in MISTAKES
