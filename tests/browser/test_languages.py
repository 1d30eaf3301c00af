"""Bell, list and toasts in the page's language, right to left, and where its words can't be loaded."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .conftest import Publish, SignIn
from .test_toasts import many, show

ARABIC = {
    "notifications": "الإشعارات",
    "unread": {
        "one": "إشعار غير مقروء",
        "two": "إشعاران غير مقروءين",
        "few": "{count} إشعارات غير مقروءة",
        "other": "{count} إشعارًا غير مقروء",
    },
    "markAllRead": "تحديد الكل كمقروء",
    "markRead": "تحديد كمقروء",
    "remove": "إزالة",
    "open": "فتح",
    "dismissAll": "إغلاق الكل",
    "more": {"other": "{count} أخرى"},
    "justNow": "الآن",
    "desktopOff": "إعلامي على سطح المكتب عندما تكون هذه الصفحة مخفية",
}


async def speak(page: Page, language: str, direction: str = "ltr", labels: object = None) -> None:
    await page.evaluate(
        """([language, direction, labels]) => {
            for (const node of document.querySelectorAll("doorbell-bell, doorbell-toasts")) node.labels = labels;
            // The demo says it of each seat, too.
            for (const node of document.querySelectorAll("html, .place"))
                Object.assign(node, { lang: language, dir: direction });
        }""",
        [language, direction, labels],
    )


async def test_words_follow_the_page(sign_in: SignIn, publish: Publish) -> None:
    page = await sign_in("linus")
    publish("linus", "Guten Tag", description="こんにちは", url="/api/v1/docs")
    bell, panel = page.get_by_test_id("bell"), page.get_by_test_id("bell-panel")
    await bell.click()
    item = panel.get_by_test_id("notification-item").filter(has_text="Guten Tag")
    await expect(item.get_by_role("button", name="Remove: Guten Tag")).to_be_visible()
    for language, name, read_all, remove, more in (
        ("de-AT", "Benachrichtigungen, ", "Alle als gelesen markieren", "Entfernen: Guten Tag", "4 weitere"),
        ("fr", "Notifications, ", "Tout marquer comme lu", "Supprimer\u00a0: Guten Tag", "4 autres"),
        ("es", "Notificaciones, ", "Marcar todas como leídas", "Eliminar: Guten Tag", "4 más"),
        ("ja", "通知、", "すべて既読にする", "削除\uff1aGuten Tag", "ほか4件"),
        ("en", "Notifications, ", "Mark all read", "Remove: Guten Tag", "4 more"),
        ("no language", "Notifications, ", "Mark all read", "Remove: Guten Tag", "4 more"),
    ):
        await speak(page, language)
        await show(page, *many(9))
        await expect(page.get_by_test_id("bell-read-all")).to_have_text(read_all)
        await expect(bell).to_have_accessible_name(re.compile(f"^{name}"))
        await expect(item.get_by_role("button", name=remove, exact=True)).to_be_visible()
        await expect(page.get_by_test_id("toast-more")).to_contain_text(more)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_right_to_left_with_labels_of_the_page(
    sign_in: SignIn, publish: Publish, pictures: Path, width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 800}
    # Without motion: the panel is measured where it ends.
    page = await sign_in("linus", viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    publish("linus", "علّقت آدا على الصفحة", description="نص التعليق", level="success", url="/api/v1/docs")
    await speak(page, "ar", "rtl", ARABIC)
    await show(page, *({**toast, "title": "رسالة جديدة من آدا", "description": "مرحبا"} for toast in many(7)))
    toast = page.get_by_test_id("toast").first
    text, dismiss = [await toast.locator(part).bounding_box() for part in (".toast-text", ".toast-dismiss")]
    assert text
    assert dismiss
    assert dismiss["x"] < text["x"]
    await page.screenshot(path=pictures / f"toasts-ar-{scheme}-{width}.png")
    # The corner by itself: the demo puts its own toasts elsewhere.
    left = await page.evaluate(
        "document.body.appendChild(document.createElement('doorbell-toasts')).offsetLeft"
    )
    assert left == 16
    await page.get_by_test_id("bell").click()
    await expect(page.get_by_test_id("bell-read-all")).to_have_text("تحديد الكل كمقروء")
    panel = await page.get_by_test_id("bell-panel").bounding_box()
    assert panel
    assert 0 <= panel["x"] <= panel["x"] + panel["width"] <= width
    await page.screenshot(path=pictures / f"bell-ar-{scheme}-{width}.png")
    await speak(page, "ja")
    await page.screenshot(path=pictures / f"bell-ja-{scheme}-{width}.png")


async def test_words_that_cannot_be_loaded_are_english(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    warnings: list[str] = []
    page.on(
        "console", lambda line: warnings.append(line.text) if "Doorbell: the labels" in line.text else None
    )
    await page.route("**/labels/ja*.js", lambda route: route.abort())
    await speak(page, "ja")
    await expect(page.get_by_test_id("bell-read-all")).to_have_text("Mark all read")
    assert len(warnings) == 1
    assert '"ja"' in warnings[0]
