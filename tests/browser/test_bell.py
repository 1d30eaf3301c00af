"""<doorbell-bell> in a real page: the number, the list behind it, the keyboard, the desktop."""

import re

from playwright.async_api import Page, expect

from .conftest import Publish, SignIn, alone


async def unread(page: Page) -> int:
    return int(await page.get_by_test_id("badge").get_attribute("data-count") or 0)


async def test_unread_come_first_and_can_be_marked_and_removed(sign_in: SignIn, publish: Publish) -> None:
    page = await sign_in("margaret")
    for title in ("Bell one", "Bell two"):
        publish("margaret", title)
    await expect(page.get_by_test_id("toast").filter(has_text="Bell two")).to_be_visible()
    await page.get_by_test_id("bell").click()
    panel = page.get_by_test_id("bell-panel")
    items = panel.get_by_test_id("notification-item")
    await expect(items.first).to_contain_text("Bell two")
    before = await unread(page)

    await panel.get_by_role("button", name="Mark read: Bell two").click()
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", str(before - 1))
    await expect(items.first).to_contain_text("Bell one")
    await expect(page).to_have_title(re.compile(rf"^\({before - 1}\) " if before > 1 else "^Doorbell"))
    await panel.get_by_role("button", name="Remove: Bell one").click()
    await expect(panel.get_by_text("Bell one", exact=True)).to_have_count(0)

    await panel.get_by_test_id("bell-read-all").click()
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", "0")
    await expect(page.get_by_test_id("bell")).to_have_accessible_name("Notifications, none unread")
    await expect(page).to_have_title("Doorbell")
    await expect(items.and_(page.locator("[data-read=false]"))).to_have_count(0)


async def test_it_opens_and_closes_by_the_keyboard_and_gives_the_focus_back(
    sign_in: SignIn, publish: Publish
) -> None:
    page = await sign_in("margaret")
    publish("margaret", "By the keyboard")
    await expect(page.get_by_test_id("toast").filter(has_text="By the keyboard")).to_be_visible()
    bell = page.get_by_test_id("bell")
    panel = page.get_by_test_id("bell-panel")
    await bell.focus()
    await page.keyboard.press("Enter")
    await expect(bell).to_have_attribute("aria-expanded", "true")
    await expect(panel).to_be_visible()
    await expect(panel.get_by_role("list")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(panel.get_by_test_id("bell-read-all")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(panel.get_by_role("button", name="Mark read: By the keyboard")).to_be_focused()
    # What had the focus goes; the focus stays with the same notification.
    await page.keyboard.press("Enter")
    await expect(panel.get_by_role("button", name="Remove: By the keyboard")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(bell).to_have_attribute("aria-expanded", "false")
    await expect(bell).to_be_focused()
    # The same key closes no toast behind the list.
    await expect(page.get_by_test_id("toast").filter(has_text="By the keyboard")).to_have_count(0)


async def test_a_click_elsewhere_closes_it(sign_in: SignIn) -> None:
    page = await sign_in("margaret")
    await page.get_by_test_id("bell").click()
    await expect(page.get_by_test_id("bell-panel")).to_be_visible()
    await page.locator("#wire-heading").click()
    await expect(page.get_by_test_id("bell-panel")).to_be_hidden()


async def test_older_ones_are_loaded_on_demand(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    # What is counted here are rows, and it would add some.
    await alone(page)
    await page.evaluate(
        """async () => {
            const { csrf_token } = await (await fetch("/api/v1/session")).json();
            const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf_token };
            await fetch("/demo/ring", { method: "POST", headers, body: '{"count": 120}' });
        }"""
    )
    newest = page.get_by_test_id("notification-item").filter(has_text="Ring 120 of 120")
    await expect(newest.first).to_be_attached()
    await page.reload()
    await page.get_by_test_id("bell").click()
    panel = page.get_by_test_id("bell-panel")
    items = panel.get_by_test_id("notification-item")
    await expect(items).to_have_count(50)
    await panel.get_by_test_id("load-more").click()
    await expect(items).to_have_count(100)
    await panel.get_by_test_id("load-more").press("Enter")
    await expect(items.filter(has_text="Ring 1 of 120")).to_have_count(1)
    # The button is gone, and the focus goes on from where it was.
    await expect(panel.get_by_test_id("load-more")).to_be_hidden()
    await expect(items.last.get_by_test_id("remove")).to_be_visible()
    assert await page.evaluate("document.activeElement.closest('[data-testid=notification-item]') !== null")


async def test_the_desktop_is_asked_for_on_a_click_and_told_only_behind_a_hidden_page(
    sign_in: SignIn, publish: Publish
) -> None:
    page = await sign_in("margaret")
    # A headless browser has no desktop: a stub records what the page requests from it.
    await page.evaluate(
        """() => {
            window.requests = 0;
            const shown = [];
            window.Notification = class {
                constructor(title) {
                    shown.push(title);
                    document.documentElement.dataset.shown = shown.join();
                }
            };
            window.Notification.permission = "default";
            window.Notification.requestPermission = async () => {
                window.requests++;
                return window.Notification.permission = "granted";
            };
            const old = document.querySelector("doorbell-bell");
            const bell = document.createElement("doorbell-bell");
            bell.client = old.client;
            old.replaceWith(bell);
        }"""
    )
    await page.get_by_test_id("bell").click()
    assert await page.evaluate("window.requests") == 0
    switch = page.get_by_test_id("bell-desktop")
    await switch.click()
    await expect(switch).to_have_attribute("aria-pressed", "true")
    assert await page.evaluate("window.requests") == 1
    await page.keyboard.press("Escape")

    publish("margaret", "While it was seen")
    await expect(page.get_by_test_id("toast").filter(has_text="While it was seen")).to_be_visible()
    await page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    publish("margaret", "While it was hidden")
    # (wait_for_function() evaluates strings in the page, which its policy forbids.)
    await expect(page.locator("html")).to_have_attribute("data-shown", "While it was hidden")
