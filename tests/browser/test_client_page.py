"""docs/client.md: its ten lines for a page of one's own, as they stand."""

import asyncio
import re

from playwright.async_api import Page, Route, expect

from tests.live.servers import ROOT

from .conftest import Publish, caught_up
from .test_tabs import Tabs, tabs, until

__all__ = ["tabs"]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    assert found
    return found[1]


async def ten_lines(tabs: Tabs) -> Page:
    """The page that client.md describes, with the list read: rows that existed before cause no toast."""
    html, script = block("html"), block("js")
    assert len((html + script).splitlines()) <= 11

    async def serve(route: Route) -> None:
        await route.fulfill(body=script, content_type="text/javascript")

    await tabs.context.route("**/static/notify.js", serve)
    page: Page = await tabs.context.new_page()
    await page.goto(f"{tabs.url}/admin/login/")  # some page of the server that is HTML
    synced = caught_up(page)
    await page.set_content(re.sub(r"\{% static '(.+?)' %\}", r"/static/\1", html))
    bell = page.locator("doorbell-bell button").first
    await expect(bell).to_have_accessible_name(re.compile(r"Notifications, .+ unread"), timeout=60_000)
    await asyncio.wait_for(synced.wait(), 60)
    return page


async def test_ten_lines_bring_a_toast_and_a_bell(tabs: Tabs) -> None:
    page = await ten_lines(tabs)
    await tabs.write("By ten lines")
    toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="By ten lines")
    await expect(toast).to_be_visible(timeout=60_000)
    await page.locator("doorbell-bell button").first.click()
    await expect(page.locator("doorbell-bell").get_by_text("By ten lines").first).to_be_visible(
        timeout=60_000
    )


async def test_what_is_opened_from_its_toast_has_been_read(tabs: Tabs, publish: Publish) -> None:
    page = await ten_lines(tabs)
    publish("margaret", "Opened from its toast", url="/healthz")
    await page.get_by_role("link", name="Open: Opened from its toast").click()
    await page.wait_for_url("**/healthz")

    async def is_read() -> bool:
        answer = await tabs.context.request.get(f"{tabs.url}/api/v1/notifications")
        items = (await answer.json())["items"]
        return bool(next(item for item in items if item["title"] == "Opened from its toast")["is_read"])

    await until(is_read, "read")


async def test_what_is_read_in_the_bell_needs_no_toast_any_more(tabs: Tabs, publish: Publish) -> None:
    page = await ten_lines(tabs)
    publish("margaret", "Read in the bell")
    toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="Read in the bell")
    await toast.hover()  # a toast under the pointer stays
    await page.locator("doorbell-bell button").first.press("Enter")
    await page.get_by_role("button", name="Mark read: Read in the bell").press("Enter")
    await expect(toast).to_have_count(0)
