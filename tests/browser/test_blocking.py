"""Blocking in the demo: by the keyboard, on one side; the other side sees what it sees of who appears offline."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from conftest import size

from .conftest import Pair


async def unblocked(page: Page) -> None:
    await expect(page.get_by_test_id("seat-ada").get_by_test_id("block")).to_have_text("Block Grace Hopper")


async def test_who_is_blocked_reaches_the_blocker_with_nothing_and_sees_them_go(pair: Pair) -> None:
    page = await pair()
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await expect(grace.get_by_test_id("person-ada")).to_have_attribute("data-online", "true")
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("data-online", "true")
    button = ada.get_by_role("button", name="Block Grace Hopper", exact=True)
    await button.focus()
    await page.keyboard.press("Enter")
    unblock = ada.get_by_role("button", name="Unblock Grace Hopper", exact=True)
    await expect(unblock).to_be_focused()
    await expect(ada.get_by_test_id("blocked-note")).to_have_text(
        "You have blocked Grace Hopper: nothing of theirs reaches you."
    )
    for seat, other in ((grace, "ada"), (ada, "grace")):
        await expect(seat.get_by_test_id(f"person-{other}")).to_have_attribute("data-online", "false")
        await expect(seat.get_by_test_id(f"person-{other}")).to_contain_text("offline")
    await expect(grace.get_by_test_id("blocked-note")).to_be_empty()
    await expect(grace.get_by_test_id("block")).to_have_text("Block Ada Lovelace")

    await grace.get_by_test_id("message-input").fill("Into the void")
    await grace.get_by_test_id("send").click()
    sent = grace.get_by_test_id("message").filter(has_text="Into the void")
    await expect(sent.locator(".receipt")).to_have_text("Sent")

    await unblock.press("Space")
    await unblocked(page)
    await expect(ada.get_by_test_id("blocked-note")).to_be_empty()
    await expect(grace.get_by_test_id("person-ada")).to_have_attribute("data-online", "true")
    await grace.get_by_test_id("message-input").fill("And back in it")
    await grace.get_by_test_id("send").click()
    await expect(ada.get_by_test_id("message").filter(has_text="And back in it")).to_be_visible()
    await expect(ada.get_by_test_id("message").filter(has_text="Into the void")).to_have_count(0)


# In `make test` each scheme and each width once.
VIEWS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)][:: size(3, full=1)]


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
async def test_a_blocked_conversation_fits_its_place(
    pair: Pair, pictures: Path, scheme: str, width: int
) -> None:
    page = await pair(color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    ada = page.get_by_test_id("seat-ada")
    await ada.get_by_test_id("block").click()
    await expect(ada.get_by_test_id("blocked-note")).not_to_be_empty()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    conversation = ada.get_by_test_id("conversation")
    await conversation.scroll_into_view_if_needed()
    await page.screenshot(path=pictures / f"blocked-{scheme}-{width}.png")
    inside = """part => {
        const own = part.getBoundingClientRect(), around = part.closest("section").getBoundingClientRect();
        return own.left >= around.left && own.right <= around.right;
    }"""
    for part in ("block", "blocked-note", "send"):
        assert await ada.get_by_test_id(part).evaluate(inside)
    await page.reload()
    await expect(ada.get_by_test_id("block")).to_have_text("Unblock Grace Hopper")
    await ada.get_by_test_id("block").click()
    await unblocked(page)
