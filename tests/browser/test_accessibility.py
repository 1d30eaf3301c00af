"""Every view, light and dark, narrow and wide, under axe; and the whole demo by the keyboard alone."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from conftest import size
from tests.live.servers import Server
from tools import node

from .conftest import Pair, SignIn, connected, kept

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, of the version that package.json names."""
    source = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]["axe-core"]
    package = source.with_name("package.json")
    if not package.exists() or json.loads(package.read_text())["version"] != wanted:
        quiet = ("--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        subprocess.run(
            [*node.npm_command(), "install", *quiet],
            cwd=ROOT,
            env={**os.environ, **node.environment()},
            check=True,
        )
    return source.read_text()


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds, in words. It must see the page at rest: a colour on its way is no colour."""
    await page.evaluate("Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})))")
    await page.evaluate(axe)
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes']]}"
        for one in found["violations"]
    ]


# In `make test` each scheme and each width once.
VIEWS = [("light", 1440), ("dark", 1440), ("light", 360), ("dark", 360)][:: size(3, full=1)]


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
async def test_axe_finds_nothing_in_any_view(pair: Pair, axe: str, scheme: str, width: int) -> None:
    page = await pair(color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    ada = page.get_by_test_id("seat-ada")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Everything at once: a conversation, toasts of each level and more, expanded frames, the log of a fault.
    await page.locator("doorbell-toasts").first.evaluate(
        """region => {
            region.setAttribute("duration", "600000");
            for (const [id, level] of ["info", "success", "warning", "error", "info", "success"].entries())
                region.show({ id: `axe-${id}`, level, title: "A title", description: "What it says.", url: "/",
                    actor: id % 2 ? { username: "ada" } : null, created_at: new Date().toISOString() });
        }"""
    )
    await ada.get_by_test_id("person-grace").click()
    await ada.get_by_test_id("message-input").fill(f"Under axe, {scheme}, {width}")
    await ada.get_by_test_id("send").click()
    await expect(ada.get_by_test_id("message").filter(has_text=f"{scheme}, {width}")).to_be_visible()
    # By keys: on a phone the toasts are in the way of a pointer.
    await page.locator("input[name=whose][value=grace]").press("Space")
    await page.get_by_test_id("fault-drop").press("Enter")
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "green", timeout=60_000)
    await page.locator("[data-kind=http]").press("Space")
    await page.locator("[data-testid=wire] summary").first.press("Enter")
    await kept(page, "ada", "grace")
    assert await violations(page, axe) == []

    # The bell over it, without the toasts.
    await page.locator("doorbell-toasts").evaluate_all("regions => regions.forEach(region => region.clear())")
    await ada.get_by_test_id("bell").click()
    await expect(ada.get_by_test_id("bell-panel")).to_be_in_viewport(ratio=0.5)
    box = await ada.get_by_test_id("bell-panel").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= width - box["width"]
    assert await violations(page, axe) == []
    await page.keyboard.press("Escape")

    # An ended login, and a single user.
    await page.get_by_test_id("fault-sign-out").click()
    await expect(page.get_by_test_id("seat-grace").get_by_test_id("veil")).to_be_visible()
    assert await violations(page, axe) == []
    await page.get_by_test_id("seat-grace").get_by_test_id("sign-in-again").click()
    await connected(page, "grace")
    await page.get_by_test_id("seat-grace").get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("beside-grace")).to_be_visible()
    assert await violations(page, axe) == []

    # And the welcome.
    await page.get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("sign-in-pair")).to_be_visible()
    assert await violations(page, axe) == []


async def test_axe_would_find_something(sign_in: SignIn, axe: str) -> None:
    """The negative control."""
    page = await sign_in("ada")
    await page.get_by_test_id("bell").evaluate("bell => bell.removeAttribute('aria-label')")
    assert any(one.startswith("button-name") for one in await violations(page, axe))


async def press_until(page: Page, key: str, testid: str) -> None:
    """Press this key until the focus is there, as a sighted keyboard user would."""
    for _ in range(80):
        focused = await page.evaluate("document.activeElement?.dataset.testid ?? ''")
        if focused == testid:
            return
        await page.keyboard.press(key)
    raise AssertionError(f"{key} never led to {testid}")


async def test_the_whole_demo_by_the_keyboard_alone(sign_in: SignIn, server: Server) -> None:
    page = await sign_in("margaret")
    await press_until(page, "Tab", "sign-out")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("sign-in-pair")).to_be_visible()
    await press_until(page, "Tab", "sign-in-pair")
    await page.keyboard.press("Enter")
    for name in ("ada", "grace"):
        await connected(page, name)
    await expect(page.get_by_test_id("seat-ada").get_by_test_id("message-input")).to_be_focused()

    # To the second person and back, past the first one's lists.
    await press_until(page, "Shift+Tab", "skip-seat")
    await expect(page.get_by_role("link", name="To Grace Hopper")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Grace Hopper", exact=True, level=2)).to_be_focused()
    await press_until(page, "Tab", "sign-out")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Ada Lovelace", exact=True, level=2)).to_be_focused()
    await expect(page.get_by_test_id("skip-seat")).to_be_hidden()
    await press_until(page, "Tab", "beside-grace")
    await page.keyboard.press("Enter")
    await connected(page, "grace")
    await expect(page.get_by_test_id("seat-grace").get_by_test_id("message-input")).to_be_focused()

    await page.get_by_role("heading", name="Ada Lovelace", exact=True, level=2).focus()
    await expect(page.get_by_test_id("seat-ada").get_by_test_id("person-grace")).to_be_visible()
    await press_until(page, "Tab", "person-grace")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("seat-ada").get_by_test_id("message-input")).to_be_focused()
    await page.keyboard.type("Typed without a mouse")
    await page.keyboard.press("Enter")
    grace = page.get_by_test_id("seat-grace")
    # (A toast about margaret, who went offline, may be above it.)
    listed = grace.get_by_test_id("notification-item").filter(has_text="Typed without a mouse")
    await expect(listed.first).to_be_visible()

    # Back to the bell, then over the skip link past the lists.
    ada = page.get_by_test_id("seat-ada")
    await press_until(page, "Shift+Tab", "bell")
    await page.keyboard.press("Enter")
    await press_until(page, "Tab", "bell-read-all")
    await page.keyboard.press("Enter")
    await expect(ada.get_by_test_id("badge")).to_have_attribute("data-count", "0")
    await page.keyboard.press("Escape")
    await expect(ada.get_by_test_id("bell")).to_be_focused()

    await press_until(page, "Shift+Tab", "skip-to-faults")
    await page.keyboard.press("Enter")
    await press_until(page, "Tab", "fault-double")
    await page.keyboard.press("Space")
    await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "green", timeout=60_000)
    # The button that was pressed still has the focus.
    await expect(page.get_by_test_id("fault-double")).to_be_focused()
