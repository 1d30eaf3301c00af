"""Two people side by side in one window, each by a login and a connection of their own."""

import asyncio
from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.live.servers import Server

from .conftest import Pair, SignIn, connected, kept


async def test_two_people_side_by_side_have_each_others_conversation_open(pair: Pair) -> None:
    page = await pair()
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")

    async def open_to_each_other() -> None:
        for seat, other in [(ada, "grace"), (grace, "ada")]:
            await expect(seat.get_by_test_id(f"person-{other}")).to_have_attribute("aria-pressed", "true")
            await expect(seat.get_by_test_id("message-input")).to_be_visible()

    await open_to_each_other()
    # The person who was added by a click may write at once.
    await expect(grace.get_by_test_id("message-input")).to_be_focused()
    # Without a click on either side: a message and its answer.
    await ada.get_by_test_id("message-input").fill("Straight across")
    await ada.get_by_test_id("send").click()
    await expect(grace.get_by_test_id("message").filter(has_text="Straight across")).to_be_visible()
    await grace.get_by_test_id("message-input").fill("And back")
    await grace.get_by_test_id("send").click()
    await expect(ada.get_by_test_id("message").filter(has_text="And back")).to_be_visible()

    await ada.get_by_test_id("person-linus").click()
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("aria-pressed", "false")
    await page.reload()
    await connected(page, "grace")
    await open_to_each_other()
    # A reload takes the focus from no one.
    for seat in (ada, grace):
        await expect(seat.get_by_test_id("message-input")).not_to_be_focused()


async def test_a_message_crosses_the_window_and_its_receipt_comes_back(pair: Pair) -> None:
    page = await pair()
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("data-online", "true")
    await expect(grace.get_by_test_id("person-ada")).to_have_attribute("data-online", "true")

    await ada.get_by_test_id("person-grace").click()
    await ada.get_by_test_id("message-input").fill("From one side to the other")
    await ada.get_by_test_id("send").click()
    hers = page.locator("doorbell-toasts[data-for='Grace Hopper']").get_by_test_id("toast")
    toast = hers.filter(has_text="From one side to the other")
    await toast.get_by_role("link", name="Open: New message from Ada Lovelace").click()
    await expect(toast).to_have_count(0)
    await expect(grace.get_by_test_id("message-input")).to_be_focused()
    sent = ada.get_by_test_id("message").filter(has_text="From one side to the other")
    await expect(sent.locator(".receipt")).to_have_text("Read")
    await kept(page, "ada", "grace")


async def test_a_reload_brings_both_back_though_no_token_was_kept(pair: Pair) -> None:
    page = await pair()
    kept_by_the_browser = await page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert "doorbell_" not in kept_by_the_browser
    await page.reload()
    for name in ("ada", "grace"):
        await connected(page, name)


async def test_leaving_revokes_the_token(pair: Pair, server: Server) -> None:
    page = await pair()
    async with page.expect_response("**/demo/sign-out") as answer:
        await page.get_by_test_id("seat-grace").get_by_test_id("sign-out").click()
    token = (await (await answer.value).request.all_headers())["authorization"]
    await expect(page.get_by_test_id("seat-grace")).to_have_count(0)
    await expect(page.get_by_test_id("beside-grace")).to_be_visible()
    again = await page.request.get(f"{server.url}/api/v1/notifications", headers={"Authorization": token})
    assert again.status == 401


async def test_a_page_that_is_left_revokes_the_token(pair: Pair, server: Server) -> None:
    page = await pair()
    # The browser's own list of requests doesn't have those of a page that has been left.
    grace = page.get_by_test_id("seat-grace")
    async with page.expect_request(lambda request: "authorization" in request.headers) as asked:
        await grace.get_by_test_id("message-input").fill("Before I go")
        await grace.get_by_test_id("send").click()
    token = (await (await asked.value).all_headers())["authorization"]
    await page.goto("about:blank")

    async def status() -> int:
        headers = {"Authorization": token}
        return (await page.request.get(f"{server.url}/api/v1/notifications", headers=headers)).status

    await until(status, 401)


async def until(value: Callable[[], Awaitable[object]], wanted: object) -> None:
    for _ in range(100):
        if await value() == wanted:
            return
        await asyncio.sleep(0.1)
    assert await value() == wanted


async def test_one_click_on_the_welcome_page_opens_two_seats(sign_in: SignIn) -> None:
    page = await sign_in("margaret")
    await page.get_by_test_id("sign-out").click()
    await page.get_by_test_id("sign-in-pair").click()
    await expect(page.get_by_test_id("seat-ada").get_by_test_id("message-input")).to_be_focused()
    await kept(page, "ada", "grace")


async def test_who_appears_offline_is_offline_to_the_other_side_and_rings_all_the_same(pair: Pair) -> None:
    page = await pair()
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    dot = ada.get_by_test_id("person-grace")
    await expect(dot).to_have_attribute("data-online", "true")
    await grace.get_by_test_id("hide").click()
    await expect(grace.get_by_test_id("hide")).to_have_attribute("aria-pressed", "true")
    await expect(grace.get_by_test_id("hide")).to_have_text("Appearing offline · undo")
    await expect(dot).to_have_attribute("data-online", "false", timeout=30_000)
    await grace.get_by_test_id("hide").click()
    await expect(dot).to_have_attribute("data-online", "true", timeout=30_000)
    await kept(page, "ada", "grace")
