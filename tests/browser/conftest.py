"""A real server, a real Chromium, and pages with a user signed in by one click."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.live.servers import Server, base_environment, find_faults, manage
from tools import browser as chromium

HERE = Path(__file__).resolve().parent
# Generous, for a busy machine: what never happens fails all the same.
expect.set_options(timeout=30_000)

SignIn = Callable[..., Awaitable[Page]]
Pair = Callable[..., Awaitable[Page]]
Publish = Callable[..., None]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """As `make run` sets it up, with a database of its own: PostgreSQL where the run has one, else SQLite."""
    folder = tmp_path_factory.mktemp("browser")
    # The demo as `make run` serves it: with DEBUG, so that static files need no collectstatic.
    environment = base_environment(folder / "pycache") | {"DEBUG": "True"}
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield environment | {"DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}"}
        return
    name = f"browser_{os.getpid()}"
    _administrate(server, f'CREATE DATABASE "{name}"')
    yield environment | {"DATABASE_URL": urlunsplit(urlsplit(server)._replace(path=f"/{name}"))}
    _administrate(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _administrate(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def server(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "seed_demo")
    log = tmp_path_factory.mktemp("log") / "server.log"
    server = Server("serve", environment, log).start()
    yield server
    server.kill()
    assert not find_faults([(log, 0)])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for these tests, so that one Chromium can serve them all: each gets contexts of its own."""
    for item in items:
        if item.path.parent == HERE and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium.fix_driver()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium.launch_options())
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sign_in(browser: Browser, server: Server) -> AsyncIterator[SignIn]:
    """Open a tab as a user: `await sign_in("ada")`. With `beside=page`, another tab of that same browser.

    Whatever the console calls an error, a broken content security policy among them, fails the test.
    """
    errors: list[str] = []

    async def open_page(name: str, *, beside: Page | None = None, **options: object) -> Page:
        context = beside.context if beside else await browser.new_context(**options)  # type: ignore[arg-type]
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(server.url)
        if beside is None:
            await page.get_by_test_id(f"sign-in-{name}").click()
        await page.locator('[data-testid=connection-state][data-state="connected"]').wait_for()
        return page

    yield open_page
    # Let what is under way end before the contexts do.
    await asyncio.gather(*(context.close() for context in browser.contexts))
    # A server or a network that is away, and a login that is over, is what some tests are about.
    expected = ("net::ERR_", "status of 401")
    assert not [error for error in errors if not any(part in error for part in expected)], errors


@pytest.fixture(scope="session")
def pictures() -> Path:
    folder = Path("var/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def pair(sign_in: SignIn) -> Pair:
    """Open a window in which ada and grace sit side by side."""

    async def open_pair(**options: object) -> Page:
        page = await sign_in("ada", **options)
        await page.get_by_test_id("beside-grace").click()
        await connected(page, "grace")
        return page

    return open_pair


async def connected(page: Page, name: str) -> None:
    seat = page.get_by_test_id(f"seat-{name}")
    await seat.locator('[data-testid=connection-state][data-state="connected"]').wait_for()


async def alone(page: Page) -> None:
    """Wait until no contact is online: users of the previous test go offline seconds later, which causes toasts."""
    await expect(page.locator("[data-testid^=person-][data-online=true]")).to_have_count(0)


async def write(page: Page, to: str, text: str) -> None:
    await page.get_by_test_id(f"person-{to}").click()
    await page.get_by_test_id("message-input").fill(text)
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("message").filter(has_text=text)).to_be_visible()


def caught_up(page: Page) -> asyncio.Event:
    """An event that is set when a socket of this page has caught up: rows that exist before that cause no toast."""
    event = asyncio.Event()

    def on_frame(text: str | bytes) -> None:
        if "synced" in str(text):
            event.set()

    page.on("websocket", lambda socket: socket.on("framereceived", on_frame))
    return event


async def see(page: Page, *titles: str) -> None:
    """Wait for these toasts, and dismiss them: only so many are shown at once."""
    for title in titles:
        toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text=title)
        await expect(toast).to_have_count(1, timeout=120_000)
    await page.locator("doorbell-toasts").evaluate("region => region.clear()")


async def keep_toasts(page: Page) -> None:
    """From now on a toast stays as long as the test takes to look for it, and isn't hidden by two others."""
    await page.locator("doorbell-toasts").evaluate_all(
        """regions => regions.forEach(region => {
            region.setAttribute("duration", "600000");
            region.style.setProperty("--toast-visible", "5");
        })"""
    )


async def kept(page: Page, *names: str) -> None:
    """Wait until the page itself finds every promise kept, for each of these people."""
    for name in names:
        verdict = page.get_by_test_id(f"verdict-{name}")
        await expect(verdict).to_have_attribute("data-verdict", "green", timeout=60_000)
    await expect(page.locator("[data-testid=invariants] [data-kept=false]")).to_have_count(0)


@pytest.fixture(scope="session")
def publish(environment: dict[str, str], server: Server) -> Publish:
    """Notify a user by the HTTP API, as an external program: `publish("grace", "Title", level="error")`."""
    made = manage(environment, "create_api_token", "browser tests", "--publish")
    [token] = re.findall(r"doorbell_[\w-]+", made)

    def run(user: str, title: str, **fields: object) -> None:
        body = {"user": user, "notification_type": "announcement", "title": title, **fields}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = Request(f"{server.url}/api/v1/publish", json.dumps(body).encode(), headers)
        with urlopen(request, timeout=60) as answer:
            assert json.load(answer)["created"] == 1

    return run
