"""Tabs of one browser share one connection, in Chromium, with a real server behind them.

The page is a few lines of its own: what is tested is the client, not the demo.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.live.servers import Database, Server

# Any page of the server will do: the script is injected.
PATH = "/healthz"
SCRIPT = f"""
const isTab = location.pathname === "{PATH}";
if (isTab) import("/static/client/connect.js").then(({{ connect }}) => {{
  window.toasts = [];
  window.client = connect({{ share: location.search !== "?alone" }});
  client.addEventListener("toast", ({{ detail }}) => window.toasts.push(detail.description));
}});
"""
SECONDS = 60.0  # a bound, not an expectation


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} s"
        await asyncio.sleep(0.1)
    return found


async def hang(page: Page) -> Callable[[], Awaitable[Any]]:
    """Stop this page's event loop until the returned function is called."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Debugger.enable")
    await devtools.send("Debugger.pause")
    return devtools.detach


class Tabs:
    """One browser in which margaret is signed in. Ada, elsewhere, writes to her."""

    def __init__(self, context: BrowserContext, url: str, database: Database) -> None:
        self.context = context
        self.url = url
        self.database = database
        self.pages: list[Page] = []
        self.token = ""

    async def sign_in(self) -> None:
        self.token = (await self._one_click("ada", token=True))["token"]
        await self._one_click("margaret", token=False)

    async def _one_click(self, name: str, *, token: bool) -> dict[str, Any]:
        session = await (await self.context.request.get(f"{self.url}/api/v1/session")).json()
        answer = await self.context.request.post(
            f"{self.url}/demo/sign-in",
            data={"username": name, "token": token},
            headers={"X-CSRFToken": session["csrf_token"], "Origin": self.url},
        )
        assert answer.ok, await answer.text()
        return dict(await answer.json())

    async def open(self, query: str = "") -> Page:
        page = await self.context.new_page()
        await page.goto(f"{self.url}{PATH}{query}")
        self.pages.append(page)
        await self.is_connected(page)
        return page

    async def close(self, page: Page) -> None:
        self.pages.remove(page)
        await page.close()

    async def is_connected(self, page: Page) -> None:
        await until(lambda: page.evaluate("window.client?.state === 'connected'"), "connected")

    async def write(self, text: str) -> None:
        answer = await self.context.request.post(
            f"{self.url}/api/v1/messages",
            data={"receiver": "margaret", "content": text},
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status == 201, await answer.text()

    async def shown_once(self, *texts: str) -> None:
        """Every tab has all of them in its list, and each was toasted in exactly one tab."""
        has_all = "(rows) => rows.every((row) => client.inbox.items.some((item) => item.description === row))"
        for page in self.pages:
            await until(lambda page=page: page.evaluate(has_all, texts), f"{texts} in the list")  # type: ignore[misc]
        # The toast event is emitted in the same turn in which the list changes, so it has been emitted by now.
        shown = [text for page in self.pages for text in await page.evaluate("window.toasts")]
        assert sorted(row for row in shown if row in texts) == sorted(texts)

    async def leader(self) -> Page:
        """The single leader, once the election has ended. On a starved machine it may be another tab than expected."""

        async def only() -> Page | None:
            roles = [await page.evaluate("window.client?.role") for page in self.pages]
            return self.pages[roles.index("leader")] if roles.count("leader") == 1 else None

        found: Page = await until(only, "one leader")
        return found

    async def sockets(self, count: int) -> None:
        """Wait until the server has this many sockets of margaret's."""
        query = (
            "SELECT count(*) FROM realtime_connection, auth_user"
            " WHERE auth_user.id = user_id AND username = 'margaret'"
        )

        async def as_many() -> bool:
            return (await asyncio.to_thread(self.database.read, query)) == [(count,)]

        await until(as_many, f"{count} sockets")


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(browser: Browser, server: Server, environment: dict[str, str]) -> AsyncIterator[Tabs]:
    context = await browser.new_context()
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    await context.add_init_script(SCRIPT)
    tabs = Tabs(context, server.url, Database(environment["DATABASE_URL"]))
    await tabs.sign_in()
    yield tabs
    await context.close()
    assert not errors, errors


async def test_two_tabs_one_socket_one_toast(tabs: Tabs) -> None:
    first, second = await tabs.open(), await tabs.open()
    await tabs.leader()
    await tabs.sockets(1)
    await tabs.write("To two tabs")
    await tabs.shown_once("To two tabs")
    # Without sharing, as a control: two sockets more, and two toasts.
    for page in [first, second]:
        await page.goto(f"{tabs.url}{PATH}?alone")
        await tabs.is_connected(page)
    await tabs.sockets(2)
    await tabs.write("To each tab")
    with pytest.raises(AssertionError):
        await tabs.shown_once("To each tab")


async def test_when_the_leader_is_closed_or_navigated_the_next_takes_over(tabs: Tabs) -> None:
    for _ in range(3):
        await tabs.open()
    await tabs.close(await tabs.leader())
    await tabs.write("After the first was closed")
    await tabs.shown_once("After the first was closed")

    leader = await tabs.leader()
    await leader.goto("about:blank")
    tabs.pages.remove(leader)
    await tabs.write("After the second went elsewhere")
    await tabs.shown_once("After the second went elsewhere")
    await tabs.leader()

    await leader.go_back()
    tabs.pages.append(leader)
    await tabs.is_connected(leader)
    await tabs.sockets(1)
    await tabs.write("Back again")
    await tabs.shown_once("Back again")


async def test_a_frozen_leader_hands_over_and_follows_when_it_resumes(tabs: Tabs) -> None:
    first, second = await tabs.open(), await tabs.open()
    # Chromium freezes only pages that are hidden, and a headless one hides none: so its events, and a debugger.
    await first.evaluate("document.dispatchEvent(new Event('freeze'))")
    resume = await hang(first)
    tabs.pages.remove(first)
    assert await tabs.leader() is second
    await tabs.write("While it was frozen")
    await tabs.shown_once("While it was frozen")
    await resume()
    await first.evaluate("document.dispatchEvent(new Event('resume'))")
    tabs.pages.append(first)
    # It starts again: only a tab that has its list again can be chosen to show a toast.
    await tabs.shown_once("While it was frozen")
    await tabs.write("Awake again")
    await tabs.shown_once("While it was frozen", "Awake again")
    await tabs.sockets(1)


async def test_a_leader_that_hangs_loses_the_lock_and_toasts_nothing_twice(tabs: Tabs) -> None:
    first, second = await tabs.open(), await tabs.open()
    resume = await hang(first)
    tabs.pages.remove(first)
    await tabs.write("While it hung")
    assert await tabs.leader() is second
    await tabs.shown_once("While it hung")
    await resume()
    tabs.pages.append(first)
    await tabs.shown_once("While it hung")
    await tabs.write("Running again")
    await tabs.shown_once("While it hung", "Running again")
    await tabs.leader()
    await tabs.sockets(1)


async def test_reading_in_one_tab_and_signing_out_in_one_tab_reach_the_others(tabs: Tabs) -> None:
    first, second = await tabs.open(), await tabs.open()
    await tabs.write("To be read")
    await tabs.shown_once("To be read")
    await second.evaluate("client.markAllRead()")
    for page in [first, second]:
        await until(lambda page=page: page.evaluate("client.inbox.unreadCount === 0"), "read")  # type: ignore[misc]
    await second.evaluate("client.http.delete('session')")
    for page in [first, second]:
        await until(lambda page=page: page.evaluate("client.state === 'disconnected'"), "signed out")  # type: ignore[misc]
        assert await page.evaluate("client.user") is None
    await tabs.sockets(0)
