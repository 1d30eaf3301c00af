"""docs/client.md: its ten lines for a page of one's own, as they stand."""

import asyncio
import re

from playwright.async_api import Page, Route, expect

from tests.live.servers import ROOT

from .test_tabs import Tabs, tabs

__all__ = ["tabs"]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    assert found
    return found[1]


async def test_ten_lines_bring_a_toast_and_a_bell(tabs: Tabs) -> None:
    html, script = block("html"), block("js")
    assert len((html + script).splitlines()) <= 11

    async def serve(route: Route) -> None:
        await route.fulfill(body=script, content_type="text/javascript")

    await tabs.context.route("**/static/notify.js", serve)
    page: Page = await tabs.context.new_page()
    await page.goto(f"{tabs.url}/admin/login/")  # some page of the server that is HTML
    synced = asyncio.Event()

    def heard(text: str | bytes) -> None:
        if "synced" in str(text):
            synced.set()

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    await page.set_content(re.sub(r"\{% static '(.+?)' %\}", r"/static/\1", html))
    bell = page.locator("doorbell-bell button").first
    await expect(bell).to_have_accessible_name(re.compile(r"Notifications, .+ unread"), timeout=60_000)
    # What is there before the list was read is old news, and no toast.
    await asyncio.wait_for(synced.wait(), 60)

    await tabs.write("By ten lines")
    toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="By ten lines")
    await expect(toast).to_be_visible(timeout=60_000)
    await bell.click()
    await expect(page.locator("doorbell-bell").get_by_text("By ten lines").first).to_be_visible(
        timeout=60_000
    )
