"""The conversation keeps one's place: what is being read, what has the focus, what has been half written."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.live.servers import manage

from .conftest import SignIn, keep_toasts, write

LOG = "[data-part=log]"
# The topmost message in view, and where it is.
PLACE = """log => {
    const top = log.getBoundingClientRect().top;
    const first = [...log.children].find(item => item.getBoundingClientRect().bottom > top);
    return [first.dataset.id, first.getBoundingClientRect().top - top];
}"""
# The test's browser gives every page the focus.
LOOK_AWAY = "document.hasFocus = () => false"
LOOK = "delete document.hasFocus; window.dispatchEvent(new Event('focus'))"
IS_AT_END = "log => Math.abs(log.scrollHeight - log.scrollTop - log.clientHeight) < 2"


def talk(environment: dict[str, str], count: int, sender: str, receiver: str) -> None:
    code = (
        "from django.contrib.auth.models import User; from messaging.models import Message;"
        "get = lambda name: User.objects.get(username=name);"
        f"[Message.objects.create(sender=get('{sender}'), receiver=get('{receiver}'), content=f'Line {{n}}')"
        f" for n in range({count})]"
    )
    manage(environment, "shell", "-v0", "-c", code)


async def come_to_the_end(page: Page) -> None:
    await expect(page.locator(f"{LOG} [data-mine=false][data-read=false]")).to_have_count(0)
    assert await page.locator(LOG).evaluate(IS_AT_END)


async def test_whoever_reads_what_was_said_before_is_left_there(
    sign_in: SignIn, environment: dict[str, str]
) -> None:
    talk(environment, 70, "linus", "margaret")
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    await margaret.get_by_test_id("person-linus").click()
    log = margaret.locator(LOG)
    await expect(log.locator("li")).to_have_count(30)
    await come_to_the_end(margaret)

    # At the end one stays at the end.
    await write(linus, "margaret", "The latest")
    await expect(log).to_contain_text("The latest")
    assert await log.evaluate(IS_AT_END)

    # Elsewhere one stays there, too.
    await log.evaluate("log => { log.scrollTop = 100; }")
    message, top = await log.evaluate(PLACE)
    await write(linus, "margaret", "The very latest")
    await expect(log).to_contain_text("The very latest")
    assert await log.evaluate(PLACE) == [message, pytest.approx(top, abs=2)]

    # What was said before that comes above it. By the keyboard: the button goes at last, the focus stays.
    earlier = margaret.get_by_role("button", name="Show earlier messages")
    shown = 0
    while await earlier.is_visible():
        shown = await log.locator("li").count()
        message, top = await log.evaluate(PLACE)
        await earlier.press("Enter")
        await expect(log.locator("li")).not_to_have_count(shown)
        assert await log.evaluate(PLACE) == [message, pytest.approx(top, abs=2)]
    assert shown >= 60
    await expect(log).to_be_focused()


async def test_what_one_is_looking_at_is_read_and_causes_no_toast(sign_in: SignIn) -> None:
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    await keep_toasts(margaret)
    await margaret.get_by_test_id("person-linus").click()
    await write(linus, "margaret", "In plain sight")
    receipt = linus.get_by_test_id("message").filter(has_text="In plain sight").locator(".receipt")
    await expect(receipt).to_have_text("Read")
    toast = margaret.get_by_test_id("toast")
    await expect(toast.filter(has_text="In plain sight")).to_have_count(0)

    # Looking elsewhere, it is as ever: until one comes back.
    await margaret.evaluate(LOOK_AWAY)
    await write(linus, "margaret", "Behind your back")
    await expect(toast.filter(has_text="Behind your back")).to_be_visible()
    message = margaret.get_by_test_id("message").filter(has_text="Behind your back")
    await expect(message).to_have_attribute("data-read", "false")
    await margaret.evaluate(LOOK)
    await expect(message).to_have_attribute("data-read", "true")
    await expect(toast.filter(has_text="Behind your back")).to_have_count(0)


async def test_a_message_is_there_at_once_while_it_is_sent(sign_in: SignIn) -> None:
    page = await sign_in("margaret")
    await page.get_by_test_id("person-grace").click()
    arrives = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            await arrives.wait()
        await route.continue_()

    await page.route("**/api/v1/messages*", hold)
    line = page.get_by_test_id("message-input")
    await line.fill("On its way")
    await page.get_by_test_id("send").click()
    sending = page.get_by_test_id("sending").filter(has_text="On its way")
    await expect(sending).to_contain_text("Sending…")
    # A second click sends nothing, and asks for nothing.
    await page.get_by_test_id("send").click()
    assert await line.evaluate("field => field.validity.valid")
    await expect(page.get_by_test_id("sending")).to_have_count(1)
    arrives.set()
    await expect(page.get_by_test_id("message").filter(has_text="On its way")).to_have_count(1)
    await expect(sending).to_have_count(0)


async def test_marking_as_read_by_the_keyboard_keeps_the_focus(sign_in: SignIn) -> None:
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    await margaret.get_by_test_id("person-linus").click()
    await margaret.evaluate(LOOK_AWAY)
    await write(linus, "margaret", "First")
    await write(linus, "margaret", "Second")
    buttons = margaret.get_by_test_id("read-message")
    await expect(buttons).to_have_count(2)
    await buttons.first.press("Enter")
    await expect(buttons).to_have_count(1)
    await expect(buttons).to_be_focused()
    await buttons.press("Enter")
    await expect(buttons).to_have_count(0)
    await expect(margaret.locator(LOG)).to_be_focused()


async def test_what_was_begun_for_one_person_is_not_sent_to_another(sign_in: SignIn) -> None:
    page = await sign_in("margaret")
    line = page.get_by_test_id("message-input")
    await page.get_by_test_id("person-grace").click()
    await line.fill("Dear Grace, between us")
    await page.get_by_test_id("person-linus").click()
    await expect(line).to_have_value("")
    await line.fill("Linus, and you")
    await page.get_by_test_id("person-grace").click()
    await expect(line).to_have_value("Dear Grace, between us")
    await line.press("Enter")
    await expect(page.get_by_test_id("message").filter(has_text="between us")).to_be_visible()
    await page.get_by_test_id("person-linus").click()
    await expect(line).to_have_value("Linus, and you")
    await page.get_by_test_id("person-grace").click()
    await expect(line).to_have_value("")


async def test_each_line_runs_in_its_own_direction(sign_in: SignIn) -> None:
    page = await sign_in("margaret")
    for text, direction in (("שלום, Grace", "rtl"), ("And from left to right", "ltr")):
        await write(page, "grace", text)
        line = page.get_by_test_id("message").filter(has_text=text).locator("p")
        await expect(line.last).to_have_css("direction", direction)
