"""After each fault of a connection the page recovers by itself, and its own check of every promise confirms it."""

import json
import re

import pytest
from playwright.async_api import Page, Route, expect

from .conftest import Pair, connected, kept

# Each with a text that its log must contain, so that a fault which does nothing fails the test.
FAULTS = {
    "cut": "Connected again",
    "drop": "dropped",
    "delay": "delayed",
    "double": "twice",
    "shuffle": "reverse",
    "lease": "1 connection of the lost process",
    "flood": "500 notifications",
}


async def break_it(page: Page, fault: str) -> None:
    await page.get_by_test_id(f"fault-{fault}").click()
    outcome = page.get_by_test_id("outcome")
    await expect(outcome).not_to_have_attribute("data-outcome", "none")
    await expect(outcome).not_to_have_attribute("data-outcome", "running", timeout=90_000)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_ends_with_every_promise_kept(pair: Pair, fault: str) -> None:
    page = await pair()
    await kept(page, "ada", "grace")
    await expect(page.get_by_test_id("recovery-ada")).not_to_have_text(re.compile(r"\d"))
    await break_it(page, fault)
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "green")
    await expect(page.locator(".story")).to_contain_text(FAULTS[fault])
    await kept(page, "ada", "grace")
    await expect(page.get_by_test_id("recovery-ada")).to_have_text(re.compile(r"\d (ms|s)$"))
    # Throughout the fault grace has seen ada online.
    await expect(page.get_by_test_id("seat-grace").get_by_test_id("person-ada")).to_have_attribute(
        "data-online", "true"
    )


async def test_ten_seconds_offline_lose_neither_what_came_nor_what_was_typed(pair: Pair) -> None:
    page = await pair()
    ada = page.get_by_test_id("seat-ada")
    await ada.get_by_test_id("person-grace").click()
    await page.get_by_test_id("fault-offline").click()
    await expect(page.locator(".story")).to_contain_text("Offline")
    await ada.get_by_test_id("message-input").fill("Typed once")
    await ada.get_by_test_id("send").click()
    toasts = page.locator("doorbell-toasts[data-for='Ada Lovelace']").get_by_test_id("toast")
    await expect(toasts.filter(has_text="could not be reached")).to_be_visible()
    await expect(ada.get_by_test_id("message-input")).to_have_value("Typed once")
    await expect(page.locator(".story")).to_contain_text("Connected again", timeout=60_000)
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "green", timeout=60_000)
    await ada.get_by_test_id("send").click()
    await expect(ada.get_by_test_id("message").filter(has_text="Typed once")).to_have_count(1)
    await kept(page, "ada", "grace")


@pytest.mark.parametrize("name", ["ada", "grace"])
async def test_signed_out_elsewhere_the_client_stops_and_one_click_brings_it_back(
    pair: Pair, name: str
) -> None:
    """ada is here by a cookie, grace by a token."""
    page = await pair()
    await page.locator(f"input[name=whose][value={name}]").check()
    await break_it(page, "sign-out")
    seat = page.get_by_test_id(f"seat-{name}")
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "ended")
    await expect(seat.get_by_test_id("veil")).to_contain_text("signed out elsewhere")
    # The code is on the wire.
    await expect(page.get_by_test_id("wire").filter(has_text="closed with 4503")).not_to_have_count(0)
    await page.get_by_test_id("fault-cut").click()
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "refused")
    await expect(page.get_by_test_id("outcome")).to_contain_text("signed out: sign in again first")
    await seat.get_by_test_id("sign-in-again").click()
    await connected(page, name)
    await expect(seat.get_by_test_id("veil")).to_be_hidden()
    await kept(page, "ada", "grace")


async def test_the_page_would_tell_if_a_promise_were_broken(pair: Pair) -> None:
    """The negative control: a server that counts one more, and has a row that the page never received."""
    page = await pair()
    await kept(page, "ada", "grace")

    async def lie(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        body["unread_count"] += 1
        body["items"].insert(0, {**body["items"][0], "id": body["items"][0]["id"] + 1_000_000})
        await route.fulfill(response=answer, body=json.dumps(body))

    await page.route("**/api/v1/notifications?limit=200", lie)
    await page.get_by_test_id("fault-double").click()
    await expect(page.get_by_test_id("verdict-ada")).to_have_attribute("data-verdict", "red", timeout=60_000)
    for promise in ("lost", "badge"):
        await expect(page.locator(f"[data-testid=promise-{promise}] [data-kept=false]")).not_to_have_count(0)
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "red", timeout=60_000)


async def test_the_console_shows_what_crossed_and_can_be_filtered_and_stopped(pair: Pair) -> None:
    page = await pair()
    wire = page.get_by_test_id("wire")
    await break_it(page, "drop")
    await expect(wire.filter(has_text="dropped")).not_to_have_count(0)
    await expect(wire.filter(has_text="resume")).not_to_have_count(0)

    await page.get_by_test_id("console-text").fill("resume")
    await expect(page.locator("[data-testid=wire]:visible").filter(has_not_text="resume")).to_have_count(0)
    command = page.locator("[data-testid=wire][data-type=resume]:visible").first
    await command.locator("summary").click()
    await expect(command.locator("pre")).to_contain_text('"since"')
    await page.get_by_test_id("console-text").fill("")

    await page.get_by_test_id("console-who").select_option("grace")
    await expect(page.locator("[data-testid=wire][data-who=ada]:visible")).to_have_count(0)
    await expect(page.locator("[data-testid=wire][data-who=grace]:visible")).not_to_have_count(0)

    await page.get_by_test_id("console-pause").click()
    before = await wire.count()
    await break_it(page, "double")
    await expect(page.get_by_test_id("console-pause")).to_contain_text("Resume (")
    assert await wire.count() == before
    await page.get_by_test_id("console-pause").click()
    await expect(page.get_by_test_id("console-pause")).to_have_text("Pause")
    assert await wire.count() > before
