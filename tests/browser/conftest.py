"""A real server, a real Chromium, and pages in which somebody has signed in with one click."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.live.servers import Server, base_environment, faults, manage
from tools import browser as chromium

SignIn = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """As `make run` sets it up, with a database of its own: PostgreSQL where the run has one, else SQLite."""
    folder = tmp_path_factory.mktemp("browser")
    # The demo page, as somebody sees it who tries it out: DEBUG, so that static files need no collectstatic.
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
    assert not faults([(log, 0)])


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium.fix_driver()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium.launch_options())
        yield browser
        await browser.close()


@pytest.fixture
async def sign_in(browser: Browser, server: Server) -> AsyncIterator[SignIn]:
    """Open a tab as somebody: `await sign_in("ada")`. With `beside=page`, another tab of that same browser.

    Whatever the console calls an error, a broken content security policy among them, fails the test.
    """
    errors: list[str] = []

    async def open_page(name: str, *, beside: Page | None = None, **options: object) -> Page:
        context = beside.context if beside else await browser.new_context(**options)  # type: ignore[arg-type]
        page = await context.new_page()
        page.set_default_timeout(15_000)
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
    # A server or a network that is away is what some tests are about.
    assert not [error for error in errors if "net::ERR_" not in error], errors


@pytest.fixture(scope="session")
def pictures() -> Path:
    folder = Path("var/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
