"""docs/install.md, followed to the letter: a blank project gets a toast and a bell. And what `pip install .` brings."""

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.live.servers import ROOT, Server, base_environment, find_faults

PAGE = (ROOT / "docs/install.md").read_text()
FILE = re.compile(r"^\*\*`([^`]+)`(?:, (continued))?\*\*\n\n```\w+\n(.*?)```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^python manage\.py (.+)$", re.MULTILINE)
SETUP: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def source(package: str) -> Path:
    """Where setuptools takes a package from."""
    for name, folder in SETUP["package-dir"].items():
        if package.startswith(f"{name}."):
            return ROOT / str(folder) / package.removeprefix(f"{name}.").replace(".", "/")
    return ROOT / package.replace(".", "/")


def install(site: Path) -> None:
    """What `pip install .` does, by the same table, without the network."""
    for package in SETUP["packages"]:
        folder = source(package)
        for pattern in ("*.py", *SETUP["package-data"].get(package, [])):
            for file in filter(Path.is_file, folder.glob(pattern)):
                target = site / package.replace(".", "/") / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)


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
        for folder in ("client", "toast", "bell", "elements")
        for file in (ROOT / "static" / folder).rglob("*")
        if file.is_file()
    }
    assert {file.parts[:2] for file in static} >= {("client", "tabs"), ("client", "testing")}
    assert sorted(str(file) for file in static if not (tmp_path / "realtime/static" / file).is_file()) == []


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The page's project, on what `pip install` brings and nothing else of this repository."""
    site, folder = tmp_path / "site", tmp_path / "project"
    install(site)
    folder.mkdir()
    environment = base_environment(tmp_path / "pycache") | {"PYTHONPATH": str(site)}
    run(folder, environment, "-m", "django", "startproject", "mysite", ".")
    files = FILE.findall(PAGE)
    assert {name for name, _, _ in files} >= {"mysite/settings.py", "mysite/asgi.py", "mysite/urls.py"}
    for name, continued, text in files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a" if continued else "w") as file:
            file.write(text)
    return folder, environment


def run(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_page_on_installing_does_what_it_says(
    project: tuple[Path, dict[str, str]], browser: Browser, tmp_path: Path
) -> None:
    folder, environment = project
    migrate, superuser, serve, notify = COMMAND.findall(PAGE)
    assert (migrate, serve) == ("migrate", "runserver")
    run(folder, environment, "manage.py", migrate)
    environment |= {"DJANGO_SUPERUSER_PASSWORD": "a-password-of-hers"}
    run(folder, environment, "manage.py", *superuser.split(), "--noinput")
    run(folder, environment, "manage.py", "makemigrations", "--check")
    server = Server("runserver", environment, tmp_path / "server.log", folder).start()
    try:
        context = await browser.new_context()
        page = await context.new_page()
        synced = asyncio.Event()

        def on_frame(text: str | bytes) -> None:
            if "synced" in str(text):
                synced.set()

        page.on("websocket", lambda socket: socket.on("framereceived", on_frame))
        await page.goto(server.url)
        await page.get_by_label("Username").fill("ada")
        await page.get_by_label("Password").fill("a-password-of-hers")
        await page.get_by_role("button", name="Log in").click()
        bell = page.locator("doorbell-bell button").first
        await expect(bell).to_have_accessible_name(re.compile("Notifications"), timeout=60_000)
        # Rows that exist before the list is read cause no toast.
        await asyncio.wait_for(synced.wait(), 60)
        await asyncio.to_thread(run, folder, environment, "manage.py", *shlex.split(notify))
        toast = page.locator("doorbell-toasts").get_by_test_id("toast").filter(has_text="It rings")
        await expect(toast).to_be_visible(timeout=60_000)
        await expect(bell).to_have_accessible_name(re.compile("1 unread"), timeout=60_000)
        await bell.click()
        await expect(page.locator("doorbell-bell").get_by_text("It rings").first).to_be_visible()
        await context.close()
    finally:
        server.kill()
    assert not find_faults([(tmp_path / "server.log", 0)])
