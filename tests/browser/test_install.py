"""docs/install.md, followed to the letter: a blank project gets a toast and a bell. And what `pip install .` brings."""

import asyncio
import re
import shlex
import time
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.hosts.project import COMMANDS, FILE, PAGE, HostProject, install
from tests.live.servers import ROOT, find_faults

from .conftest import caught_up

COMMAND = re.compile(r"^python manage\.py (.+)$", re.MULTILINE)


def test_every_file_that_the_apps_need_is_packaged(tmp_path: Path) -> None:
    install(tmp_path)
    for app in ("messaging", "realtime"):
        needed = {
            file.relative_to(ROOT)
            for file in (ROOT / app).rglob("*")
            if file.suffix in (".py", ".html") and "tests" not in file.relative_to(ROOT).parts
        }
        assert len(needed) > 20
        assert sorted(str(file) for file in needed if not (tmp_path / file).exists()) == []
    # Subfolders included: client/tabs, which a page loads, and client/testing, which docs/client.md offers.
    static = {
        file.relative_to(ROOT / "static")
        for folder in ("client", "toast", "bell", "doorbell", "elements", "labels")
        for file in (ROOT / "static" / folder).rglob("*")
        if file.is_file()
    }
    assert {file.parts[:2] for file in static} >= {("client", "tabs"), ("client", "testing")}
    assert sorted(str(file) for file in static if not (tmp_path / "realtime/static" / file).is_file()) == []


def test_at_most_twelve_lines_are_typed() -> None:
    files = "".join(text for _, _, text in FILE.findall(PAGE))
    commands = "".join(COMMANDS.findall(PAGE))
    typed = [line for line in (files + commands).splitlines() if line.strip()]
    assert len(typed) == 12, typed
    assert "twelve typed lines" in PAGE


async def test_the_page_on_installing_does_what_it_says(browser: Browser, tmp_path: Path) -> None:
    began = time.monotonic()
    project = HostProject(tmp_path, to_the_letter=True)
    migrate, superuser, serve, notify = COMMAND.findall(PAGE)
    assert (migrate, serve) == ("migrate", "runserver")
    project.manage(migrate)
    project.environment |= {"DJANGO_SUPERUSER_PASSWORD": "a-password-of-hers"}
    project.manage(*superuser.split(), "--noinput")
    project.manage("makemigrations", "--check")
    assert "no issues" in project.manage("check").stdout
    server = project.start("runserver")
    try:
        context = await browser.new_context()
        page = await context.new_page()
        synced = caught_up(page)
        await page.goto(f"{server.url}/admin/")
        await expect(page.locator("doorbell-bell, script[data-doorbell]")).to_have_count(0)
        await page.get_by_label("Username").fill("ada")
        await page.get_by_label("Password").fill("a-password-of-hers")
        await page.get_by_role("button", name="Log in").click()
        bell = page.locator("doorbell-bell button").first
        await expect(bell).to_have_accessible_name(re.compile("Notifications"), timeout=60_000)
        # Rows that exist before the list is read cause no toast.
        await asyncio.wait_for(synced.wait(), 60)
        await asyncio.to_thread(project.manage, *shlex.split(notify))
        toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="It rings")
        await expect(toast).to_be_visible(timeout=60_000)
        print(f"the first toast after {time.monotonic() - began:.0f} s")
        await expect(bell).to_have_accessible_name(re.compile("1 unread"), timeout=60_000)
        await bell.click()
        await expect(page.locator("doorbell-bell").get_by_text("It rings").first).to_be_visible()
        await context.close()
    finally:
        server.kill()
    assert not find_faults([(project.log, 0)])
