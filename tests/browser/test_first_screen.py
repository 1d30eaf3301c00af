"""What a visitor sees first, and that it stays: the pair's layout, its toasts, an ended login, a slow list."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from .conftest import Pair, SignIn, connected, kept

PARTS = (".people", ".conversation", ".notifications")


async def open_pair(sign_in: SignIn, width: int, height: int) -> Page:
    """By the welcome's own button, as a visitor does."""
    page = await sign_in("margaret", viewport={"width": width, "height": height}, reduced_motion="reduce")
    await page.get_by_test_id("sign-out").click()
    await page.get_by_test_id("sign-in-pair").click()
    await kept(page, "ada", "grace")
    return page


async def tops(seat: Locator) -> list[float]:
    measure = (
        "(seat, parts) => parts.map(part => seat.querySelector(part).getBoundingClientRect().top + scrollY)"
    )
    found: list[float] = await seat.evaluate(measure, list(PARTS))
    return found


async def overlap(one: Locator, other: Locator) -> bool:
    boxes = [await one.bounding_box(), await other.bounding_box()]
    if None in boxes:
        return False
    a, b = boxes
    assert a is not None
    assert b is not None
    return (
        a["x"] < b["x"] + b["width"]
        and b["x"] < a["x"] + a["width"]
        and a["y"] < b["y"] + b["height"]
        and b["y"] < a["y"] + a["height"]
    )


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 844)])
async def test_the_field_has_the_focus_and_the_notifications_are_in_sight(
    sign_in: SignIn, width: int, height: int
) -> None:
    page = await open_pair(sign_in, width, height)
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await expect(ada.get_by_test_id("message-input")).to_be_focused()
    await expect(ada.get_by_test_id("message-input")).to_be_in_viewport(ratio=1)
    first = ada.locator(".notifications").get_by_test_id("notification-item").first
    await expect(first).to_be_in_viewport(ratio=0.9)
    assert await page.evaluate("scrollY") == 0
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width >= 820:
        assert await tops(ada) == pytest.approx(await tops(grace), abs=1)
        # However long a name is.
        await ada.locator(".me bdi").evaluate("name => { name.textContent = 'x'.repeat(150); }")
        await ada.locator(".person strong bdi").first.evaluate(
            "name => { name.textContent = 'y'.repeat(150); }"
        )
        assert await tops(ada) == pytest.approx(await tops(grace), abs=1)


async def test_nothing_jumps_while_a_connection_is_lost_and_no_toast_covers_what_it_is_about(
    sign_in: SignIn,
) -> None:
    page = await open_pair(sign_in, 1280, 800)
    ada = page.get_by_test_id("seat-ada")
    before = await tops(ada)
    await page.locator("input[name=whose][value=ada]").check()
    await page.get_by_test_id("fault-offline").click()
    await expect(ada.get_by_test_id("connection-state")).to_have_text(re.compile("Lost, retry in"))
    await expect(ada.get_by_test_id("connect-again")).to_be_visible()
    assert await tops(ada) == pytest.approx(before, abs=1)
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "green", timeout=60_000)
    toasts = page.locator("doorbell-toasts[data-for='Ada Lovelace']")
    await expect(toasts.get_by_test_id("toast")).to_have_count(1)
    await expect(toasts.get_by_test_id("toast-more")).to_contain_text("more")
    assert await tops(ada) == pytest.approx(before, abs=1)
    await page.evaluate("scrollTo(0, 0)")
    for name in ("connection-state", "bell", "sign-out", "message-input", "send", "person-grace"):
        for toast in await toasts.get_by_test_id("toast").all():
            assert not await overlap(toast, ada.get_by_test_id(name)), name
        assert not await overlap(toasts.get_by_test_id("toast-more"), ada.get_by_test_id(name)), name


async def test_a_toast_for_a_seat_that_is_out_of_sight_is_in_the_window_by_name(sign_in: SignIn) -> None:
    page = await open_pair(sign_in, 390, 844)
    ada = page.get_by_test_id("seat-ada")
    await ada.get_by_test_id("message-input").fill("Further down")
    await ada.get_by_test_id("send").click()
    toasts = page.locator("doorbell-toasts[data-for='Grace Hopper']")
    toast = toasts.get_by_test_id("toast").filter(has_text="Further down")
    await expect(toast).to_be_in_viewport(ratio=1)
    label = await toasts.evaluate("region => getComputedStyle(region, '::before').content")
    assert "for " in label
    assert not await overlap(toast, ada.get_by_test_id("message-input"))
    await expect(ada.get_by_test_id("message").filter(has_text="Further down")).to_be_in_viewport(ratio=1)
    assert not await overlap(toast, ada.get_by_test_id("message").filter(has_text="Further down"))


async def test_without_a_conversation_the_notifications_follow_at_once(sign_in: SignIn) -> None:
    page = await sign_in("ada", viewport={"width": 390, "height": 844})
    box = await page.get_by_test_id("conversation").bounding_box()
    assert box is not None
    assert box["height"] < 100
    await page.get_by_test_id("person-grace").click()
    await expect(page.get_by_test_id("message-input")).to_be_visible()


async def test_the_superuser_of_the_admin_site_is_no_contact(sign_in: SignIn) -> None:
    page = await sign_in("ada")
    await expect(page.get_by_test_id("person-grace")).to_be_visible()
    await expect(page.get_by_test_id("person-admin")).to_have_count(0)


async def test_what_was_understood_stays_away(sign_in: SignIn) -> None:
    page = await sign_in("ada")
    await page.get_by_role("button", name="Got it").click()
    await page.reload()
    await connected(page, "ada")
    await expect(page.get_by_role("button", name="Got it")).to_be_hidden()


async def test_another_login_in_another_tab_is_named_and_covers_the_seat(sign_in: SignIn) -> None:
    ada = await sign_in("ada")
    other = await sign_in("ada", beside=ada)
    await other.get_by_test_id("sign-out").click()
    veil = ada.get_by_test_id("veil")
    await expect(veil).to_contain_text("Ada Lovelace has been signed out elsewhere")
    colour = await veil.evaluate("veil => getComputedStyle(veil).backgroundColor")
    assert re.fullmatch(r"rgb\(.*\)|color\(srgb [^/]*\)", colour), f"{colour} isn't opaque"
    await ada.get_by_test_id("sign-in-again").click()
    await connected(ada, "ada")
    # The same browser signs in as somebody else.
    code = """async () => {
        const { csrf_token } = await (await fetch("/api/v1/session")).json();
        const headers = { "X-CSRFToken": csrf_token, "Content-Type": "application/json" };
        await fetch("/demo/sign-in", { method: "POST", headers, body: JSON.stringify({ username: "grace" }) });
    }"""
    await other.evaluate(code)
    await expect(ada.get_by_test_id("veil")).to_contain_text(
        "Grace Hopper has signed in in another tab of this browser"
    )


async def test_nothing_is_called_empty_before_it_has_been_read(pair: Pair) -> None:
    page = await pair()
    await kept(page, "ada", "grace")
    answered = asyncio.Event()

    async def hold(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    for path in ("notifications", "presence", "messages"):
        await page.route(re.compile(rf"/api/v1/{path}\b"), hold)
    await page.reload()
    ada = page.get_by_test_id("seat-ada")
    await expect(ada.locator(".notifications .bell-empty")).to_have_text(re.compile("^Reading"))
    await expect(ada.get_by_test_id("person-grace")).to_contain_text("reading…")
    await expect(ada.locator("[data-part=conversation-empty]")).to_have_text("Reading…")
    await expect(page.get_by_test_id("verdict-ada")).not_to_have_text("no connection")
    for text in ("No notifications", "no messages yet", "No messages", "no connection"):
        await expect(ada.get_by_text(text)).to_have_count(0)
    answered.set()
    await expect(ada.locator(".notifications .bell-empty")).to_be_hidden()
    await expect(ada.get_by_test_id("person-grace")).not_to_contain_text("reading")
    await kept(page, "ada", "grace")


async def test_the_welcome_can_be_read_without_its_script(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await page.get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("sign-in-pair")).to_be_enabled()
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/static/**/*.js", hold)
    await page.reload(wait_until="commit")
    await expect(page.get_by_role("heading", name=re.compile("It rings once"))).to_be_in_viewport(ratio=1)
    await expect(page.get_by_test_id("sign-in-pair")).to_be_disabled()
    held.set()
    await expect(page.get_by_test_id("sign-in-pair")).to_be_enabled()
