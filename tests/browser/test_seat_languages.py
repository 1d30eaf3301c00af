"""Each seat of the demo in a language of its own: its words, what is sent to its person, hearts that become one row."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.live.servers import manage

from .conftest import Pair, SignIn, connected, keep_toasts, kept
from .test_first_screen import tops

pytestmark = pytest.mark.usefixtures("own_language_afterwards")


@pytest.fixture
def own_language_afterwards(environment: dict[str, str]) -> Iterator[None]:
    yield
    code = "from messaging.models import UserProfile; UserProfile.objects.update(language='')"
    manage(environment, "shell", "-v0", "-c", code)


async def speak(seat: Locator, language: str) -> None:
    """Choose a language, and wait until the seat has its words."""
    await seat.get_by_test_id("language").select_option(language)
    place = seat.page.locator(".place", has=seat)
    await expect(place).to_have_attribute("lang", language)


async def say(seat: Locator, text: str) -> None:
    await seat.get_by_test_id("message-input").fill(text)
    await seat.get_by_test_id("send").click()
    await expect(seat.get_by_test_id("message").filter(has_text=text).last).to_be_visible()


async def toasts_of(page: Page, name: str) -> Locator:
    return page.locator(f"doorbell-toasts[data-for='{name}']").get_by_test_id("toast")


async def test_each_side_has_its_own_language_and_is_notified_in_it(pair: Pair) -> None:
    page = await pair(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await kept(page, "ada", "grace")
    await keep_toasts(page)
    before = await tops(ada)
    # By the keyboard; the focus stays on the switch.
    switch = ada.get_by_label("Language")
    await switch.focus()
    await page.keyboard.type("Deu")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(ada.get_by_label("Sprache")).to_be_focused()
    await speak(grace, "ja")
    for seat, send, empty, read in (
        (ada, "Senden", "Nachricht schreiben", "Alle gelesen"),
        (grace, "送信", "メッセージを入力", "すべて既読にする"),
    ):
        await expect(seat.get_by_test_id("send")).to_have_text(send)
        await expect(seat.get_by_test_id("message-input")).to_have_attribute("placeholder", empty)
        await expect(seat.get_by_test_id("mark-all-read")).to_have_text(read)
    await expect(ada.get_by_test_id("bell")).to_have_accessible_name(re.compile("^Benachrichtigungen, "))
    await expect(grace.get_by_test_id("bell")).to_have_accessible_name(re.compile("^通知、"))
    await expect(grace.get_by_test_id("connection-state")).to_have_text("接続済み")
    # What is around the seats stays as it is, and so does everything's place.
    await expect(page.get_by_role("heading", name="The promises, checked live")).to_be_visible()
    assert await tops(ada) == pytest.approx(before, abs=1)
    assert await tops(grace) == pytest.approx(before, abs=1)

    await say(ada, "Der Lochstreifen ist fertig")
    await say(grace, "Ich komme")
    times = grace.get_by_test_id("message").filter(has_text="Ich komme").locator("time")
    await expect(times).to_have_text("たった今")
    await ada.get_by_test_id("message").filter(has_text="Ich komme").get_by_test_id("heart").click()
    await expect((await toasts_of(page, "Grace Hopper")).filter(has_text="ハート")).to_contain_text(
        "Ada Lovelaceさんからハートが届きました"
    )
    heart = grace.get_by_test_id("message").filter(has_text="Der Lochstreifen").get_by_test_id("heart")
    await heart.click()
    hers = (await toasts_of(page, "Ada Lovelace")).filter(has_text="Herz")
    await expect(hers).to_contain_text("Grace Hopper hat Ihnen ein Herz geschickt")
    await expect(hers).to_contain_text("Der Lochstreifen ist fertig")
    await kept(page, "ada", "grace")

    # Both are as they were after a reload: the profile keeps it.
    await page.reload()
    await connected(page, "grace")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(ada.get_by_test_id("language")).to_have_value("de")
    await expect(grace.get_by_test_id("language")).to_have_value("ja")
    await expect(grace.get_by_test_id("send")).to_have_text("送信")
    await page.get_by_test_id("seat-ada").get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("sign-in-pair")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_hearts_are_one_row_and_one_toast_that_can_be_unfolded_and_answered(pair: Pair) -> None:
    page = await pair(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await ada.get_by_test_id("mark-all-read").press("Enter")
    await expect(ada.get_by_test_id("badge")).to_have_attribute("data-count", "0")
    await keep_toasts(page)
    await speak(ada, "de")
    await say(ada, "Wer mag das?")
    message = grace.get_by_test_id("message").filter(has_text="Wer mag das?")
    heart = message.get_by_test_id("heart")
    toast = (await toasts_of(page, "Ada Lovelace")).filter(has_text="Herz")
    for count, title in ((1, "ein Herz geschickt"), (2, "2 Herzen"), (3, "3 Herzen")):
        await heart.click()
        await expect(toast).to_have_count(1)
        await expect(toast).to_contain_text(title)
        await expect(message.get_by_role("status")).to_contain_text(str(count))
        await expect(ada.get_by_test_id("badge")).to_have_attribute("data-count", "1")
    row = ada.get_by_test_id("notification-item").filter(has_text="Herzen")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("3 Herzen für Sie, zuletzt von Grace Hopper")
    await expect(row.locator(".bell-mark svg")).to_be_visible()

    members = row.get_by_test_id("members")
    await members.press("Enter")
    await expect(row.locator(".members li")).to_have_text(
        [re.compile("^Grace Hopper hat Ihnen ein Herz geschickt")] * 3
    )
    await expect(members).to_be_focused()
    await expect(ada.get_by_test_id("badge")).to_have_attribute("data-count", "1")

    # The action: a message in return, in the language of the one who thanks.
    await row.get_by_role("button", name="Bedanken").click()
    await expect(grace.get_by_test_id("message").filter(has_text="Danke!")).to_be_visible()
    await expect(toast).to_have_count(0)
    await expect(ada.get_by_test_id("badge")).to_have_attribute("data-count", "0")
    await kept(page, "ada", "grace")


@pytest.mark.parametrize("width", [1280, 820, 390])
async def test_every_language_fits_its_place(pair: Pair, pictures: Path, width: int) -> None:
    page = await pair(viewport={"width": width, "height": 844}, reduced_motion="reduce")
    ada, grace = page.get_by_test_id("seat-ada"), page.get_by_test_id("seat-grace")
    await say(ada, "In every language")
    await page.evaluate("scrollTo(0, 0)")
    for language in ("de", "fr", "es", "ja", "ar"):
        await speak(ada, language)
        await expect(ada.get_by_test_id("language")).to_be_in_viewport(ratio=1)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), language
        assert await page.evaluate("scrollY") == 0, language
        first = ada.locator(".notifications").get_by_test_id("notification-item").first
        await expect(first).to_be_in_viewport(ratio=0.5)
        if width >= 820:
            assert await tops(ada) == pytest.approx(await tops(grace), abs=1), language
        await page.screenshot(path=pictures / f"demo-{language}-{width}.png")
    direction = "node => getComputedStyle(node).direction"
    assert [await seat.evaluate(direction) for seat in (ada, grace)] == ["rtl", "ltr"]
    assert await page.locator(".rail").evaluate(direction) == "ltr"


async def test_a_language_that_could_not_be_stored_is_not_shown(sign_in: SignIn) -> None:
    page = await sign_in("linus")

    async def refuse(route: Route) -> None:
        if route.request.method == "PATCH":
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/api/v1/profile", refuse)
    switch = page.get_by_test_id("language")
    await switch.select_option("ja")
    await expect(page.get_by_test_id("toast").filter(has_text="That didn't work")).to_be_visible()
    await expect(switch).to_have_value("en")
    await expect(page.get_by_test_id("send")).to_have_text("Send")
    await page.unroute("**/api/v1/profile")
    await switch.select_option("ja")
    await expect(page.get_by_test_id("sign-out")).to_have_text("ログアウト")
