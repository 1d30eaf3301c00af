"""<doorbell-toasts> in a real page: what it shows, announces and leaves unchanged."""

import re

import pytest
from playwright.async_api import Page, expect

from .conftest import Publish, SignIn, keep_toasts, kept


async def show(page: Page, *toasts: dict[str, object]) -> None:
    """Show these, and nothing else, as long as the test takes."""
    await page.locator("doorbell-toasts").evaluate(
        """(region, toasts) => {
            region.setAttribute("duration", "600000");
            region.style.setProperty("--toast-visible", "5"); // the default: the demo shows fewer
            delete region.show;
            region.clear();
            toasts.forEach(toast => region.show(toast));
            // Users of the previous test go offline seconds later, which causes toasts.
            region.show = () => {};
        }""",
        list(toasts),
    )


def many(count: int) -> list[dict[str, object]]:
    return [{"id": f"many-{number}", "title": f"Number {number}"} for number in range(count)]


async def test_each_level_looks_and_sounds_like_itself_and_leads_somewhere(
    sign_in: SignIn, publish: Publish
) -> None:
    margaret = await sign_in("margaret")
    await keep_toasts(margaret)
    for level in ("info", "success", "warning", "error"):
        publish(
            "margaret", f"A toast of {level}", description="With a link.", level=level, url="/api/v1/docs"
        )
    for level in ("info", "success", "warning", "error"):
        toast = margaret.get_by_test_id("toast").filter(has_text=f"A toast of {level}")
        await expect(toast).to_have_attribute("data-level", level)
        await expect(toast.locator("time")).to_have_text("just now")
        await expect(toast.get_by_role("link")).to_have_attribute(
            "href", re.compile(r"^http://.*/api/v1/docs$")
        )
    polite, urgent = margaret.locator("[aria-live=polite]"), margaret.locator("[aria-live=assertive]")
    await expect(polite.last).to_contain_text("Warning: A toast of warning. With a link.")
    await expect(urgent).to_contain_text("Error: A toast of error. With a link.")


async def test_five_are_shown_and_the_rest_is_a_number(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await show(page, *many(9))
    await expect(page.get_by_test_id("toast")).to_have_count(5)
    await expect(page.get_by_test_id("toast").first).to_contain_text("Number 8")
    await expect(page.get_by_test_id("toast-more")).to_contain_text("4 more")
    await page.get_by_role("button", name="Dismiss: Number 8").click()
    await expect(page.get_by_test_id("toast-more")).to_contain_text("3 more")
    await page.get_by_role("button", name="Dismiss all").click()
    await expect(page.get_by_test_id("toast")).to_have_count(0)
    await expect(page.get_by_test_id("toast-more")).to_be_hidden()


async def test_the_focus_is_never_taken_and_goes_back_where_it_came_from(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await page.get_by_test_id("bell").focus()
    await show(page, *many(2))
    await expect(page.get_by_test_id("bell")).to_be_focused()
    await page.get_by_role("button", name="Dismiss: Number 1").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Dismiss: Number 0")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("bell")).to_be_focused()


async def test_escape_closes_the_newest_or_the_one_with_the_focus(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await show(page, *many(3))
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("toast")).to_have_text(["Number 1", "Number 0"])
    await page.get_by_role("button", name="Dismiss: Number 0").focus()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("toast")).to_have_text(["Number 1"])


async def test_a_toast_waits_for_whoever_reads_it(sign_in: SignIn) -> None:
    page = await sign_in("linus", reduced_motion="reduce")
    await page.clock.install()
    await page.reload()
    await kept(page, "linus")  # nothing moves any more, and the mouse stays where it is
    await page.locator("doorbell-toasts").evaluate(
        """region => {
            region.show({ id: 1, title: "Slowly read" });
            region.show({ id: 2, title: "Bad", level: "error" });
            // The page's own requests time out while the clock is moved on, which causes toasts.
            region.show = () => {};
        }"""
    )
    toast = page.get_by_test_id("toast").filter(has_text="Slowly read")
    # Not by `hover`, which may scroll: a toast moves with its seat.
    box = await toast.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await page.mouse.move(0, 0)
    await page.get_by_role("button", name="Dismiss: Slowly read").focus()
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await page.get_by_test_id("bell").focus()
    await page.clock.run_for(9_000)
    await expect(toast).to_have_count(0)
    await expect(page.get_by_test_id("toast").filter(has_text="Bad")).to_be_visible()
    await page.clock.run_for(9_000)
    await expect(page.get_by_test_id("toast").filter(has_text="Bad")).to_have_count(0)


async def test_closing_one_by_the_mouse_doesnt_keep_the_others(sign_in: SignIn) -> None:
    page = await sign_in("linus", reduced_motion="reduce")
    await page.clock.install()
    await page.reload()
    await page.get_by_test_id("bell").wait_for()
    await page.locator("doorbell-toasts").evaluate(
        "region => [1, 2, 3].forEach(id => region.show({id, title: `Clicked ${id}`}))"
    )
    toasts = page.get_by_test_id("toast").filter(has_text="Clicked")
    await page.get_by_role("button", name="Dismiss: Clicked 2").click()
    await expect(toasts).to_have_count(2)
    await page.mouse.move(0, 0)
    await page.clock.run_for(9_000)
    await expect(toasts).to_have_count(0)


async def test_in_a_tab_opened_in_the_background_a_toast_waits_to_be_seen(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await page.clock.install()
    await page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            const region = document.createElement("doorbell-toasts");
            document.querySelector("doorbell-toasts").replaceWith(region);
            region.show({ id: 1, title: "Unseen" });
        }"""
    )
    toast = page.get_by_test_id("toast").filter(has_text="Unseen")
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await page.evaluate(
        """() => {
            delete document.hidden;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    await page.clock.run_for(9_000)
    await expect(toast).to_have_count(0)


LONG: dict[str, object] = {
    "title": "A long title. " * 14,
    "description": "A long description. " * 25,
    "url": "/",
}


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (360, 640)])
async def test_however_long_they_are_the_newest_is_in_sight_and_the_others_can_be_scrolled_to(
    sign_in: SignIn, width: int, height: int
) -> None:
    page = await sign_in("linus", viewport={"width": width, "height": height}, reduced_motion="reduce")
    # A region of its own, where toast.css puts it: the demo's stand in a dock.
    await page.evaluate(
        """() => {
            const region = document.createElement("doorbell-toasts");
            document.querySelectorAll("doorbell-toasts").forEach(other => other.remove());
            document.body.append(region);
        }"""
    )
    await show(page, *[{"id": f"long-{number}", **LONG} for number in range(9)])
    toasts = page.get_by_test_id("toast")
    await expect(toasts.first).to_be_in_viewport(ratio=1)
    await expect(page.get_by_test_id("toast-more")).to_be_in_viewport(ratio=1)
    lines = "node => Math.round(node.clientHeight / parseFloat(getComputedStyle(node).lineHeight))"
    assert await toasts.first.locator(".toast-title").evaluate(lines) == 2
    assert await toasts.first.locator(".toast-description").evaluate(lines) == 4
    await toasts.first.hover()
    await page.mouse.wheel(0, 2000)
    await expect(toasts.last).to_be_in_viewport(ratio=1)

    # After scrolling down and leaving, the newest toast is scrolled into view.
    await page.mouse.move(1, height / 2)
    await page.locator("doorbell-toasts").evaluate(
        "(region, long) => { delete region.show; region.show({ id: 'new', ...long, title: 'New' }); }", LONG
    )
    await expect(toasts.filter(has_text="New")).to_be_in_viewport(ratio=1)


async def test_what_is_written_from_the_right_is_shown_from_the_right(
    sign_in: SignIn, publish: Publish
) -> None:
    page = await sign_in("margaret")
    title, description = "שלום, עולם!", "مرحبا بالعالم."
    publish("margaret", title, description=description)
    await page.get_by_test_id("bell").click()
    direction = "node => getComputedStyle(node).direction"
    for shown in (page.get_by_test_id("toast"), page.get_by_test_id("bell-panel")):
        for text in (title, description):
            assert await shown.get_by_text(text).evaluate(direction) == "rtl"
    toast = page.get_by_test_id("toast").filter(has_text=title)
    assert await toast.locator(".toast-foot").evaluate(direction) == "ltr"


async def test_an_open_bell_lies_above_the_toasts(sign_in: SignIn) -> None:
    page = await sign_in("margaret", reduced_motion="reduce")
    await page.get_by_test_id("bell").click()
    await expect(page.get_by_test_id("bell-panel")).to_be_visible()
    covered = await page.evaluate(
        """() => {
            const panel = document.querySelector(".bell-panel");
            const region = document.createElement("doorbell-toasts");
            const { top, left } = panel.getBoundingClientRect();
            region.style.setProperty("--toast-inset", `${top}px auto auto ${left}px`);
            document.body.append(region);
            region.show({ id: 1, title: "In the way" });
            const box = region.querySelector("li").getBoundingClientRect();
            return panel.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2));
        }"""
    )
    assert covered


async def test_nothing_moves_for_those_who_want_no_motion(sign_in: SignIn) -> None:
    page = await sign_in("linus", reduced_motion="reduce")
    await show(page, *many(1))
    await page.get_by_test_id("bell").click()
    running = "() => document.getAnimations().filter(a => a.playState === 'running').length"
    assert await page.evaluate(running) == 0


async def test_its_looks_are_custom_properties(sign_in: SignIn) -> None:
    page = await sign_in("linus")
    await show(page, *many(1))
    toast = page.get_by_test_id("toast")
    style = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).borderRadius]"
    await page.locator("doorbell-toasts").evaluate(
        """node => {
            node.style.setProperty("--toast-surface", "rgb(1, 2, 3)");
            node.style.setProperty("--toast-radius", "3px");
        }"""
    )
    assert await toast.evaluate(style) == ["rgb(1, 2, 3)", "3px"]
