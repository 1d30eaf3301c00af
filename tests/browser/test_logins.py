"""docs/logins.md in a browser: a page that signs in with a JWT, and shows a toast."""

import asyncio
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.hosts.project import HostProject
from tests.hosts.test_logins import follow
from tests.hosts.visitor import PASSWORD, set_up
from tests.live.servers import find_faults

from .conftest import caught_up


async def test_a_page_with_a_jwt_shows_a_toast(browser: Browser, tmp_path: Path) -> None:
    project = follow(HostProject(tmp_path))
    set_up(project)
    server = project.start("runserver")
    try:
        context = await browser.new_context()
        page = await context.new_page()
        synced = caught_up(page)
        await page.goto(f"{server.url}/app/")
        await page.get_by_label("Username").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await asyncio.wait_for(synced.wait(), 60)
        await asyncio.to_thread(project.manage, "notify", "ada", "It rings")
        toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="It rings")
        await expect(toast).to_be_visible(timeout=60_000)
        assert await context.cookies() == []
        await context.close()
    finally:
        server.kill()
    assert not find_faults([(project.log, 0)])
