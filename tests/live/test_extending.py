"""docs/extending.md, followed to the letter: its files, its commands, its payment and its call from outside."""

import json
import re
from pathlib import Path

import httpx
import pytest

from .conftest import Deployment
from .servers import ROOT

PAGE = (ROOT / "docs/extending.md").read_text()
FILE = re.compile(r"^\*\*`([^`]+)`(?:, continued)?\*\*\n\n```python\n(.*?)```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^python manage\.py (.+)$", re.MULTILINE)
CURL = re.compile(r"^curl .*/api/v1/publish\?strict=true.*\n +-d '(.*)'$", re.MULTILINE)


@pytest.fixture
def shop(deployment: Deployment, tmp_path: Path) -> Deployment:
    """A deployment whose servers and commands run the page's project."""
    files = FILE.findall(PAGE)
    assert len(files) == PAGE.count("```python") > 5, "a block of code has no file's name"
    for name, text in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(text)
    deployment.environment |= {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "shop_settings"}
    return deployment


async def test_the_page_on_extending_does_what_it_says(shop: Deployment, tmp_path: Path) -> None:
    *prepare, serve = COMMAND.findall(PAGE)
    for command in prepare:
        await shop.manage(*command.split())
    assert serve == "serve"
    server = await shop.start()
    ada = shop.person(server)
    assert ada.username == "ada"
    tab = await ada.tab()

    await shop.manage("shell", "-v0", "-c", (tmp_path / "pay.py").read_text())
    await tab.until_shows(unread=1)
    [shown] = tab.inbox.items.values()
    assert (shown["notification_type"], shown["title"], shown["level"], shown["url"]) == (
        "invoice_paid",
        "Invoice 2026-001 is paid",
        "success",
        "/invoices/1/",
    )
    again = "from billing.models import Invoice; Invoice.objects.get().pay()"
    await shop.manage("shell", "-v0", "-c", again)
    listed = await ada.call("GET", "notifications?notification_type=invoice_paid")
    assert [item["id"] for item in listed["items"]] == [shown["id"]]

    token = (await shop.manage("create_api_token", "backups")).split()[-1]
    [call] = CURL.findall(PAGE)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as outside:
        for created in (1, 0):
            answer = await outside.post(
                "/api/v1/publish", json=json.loads(call), headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 202, answer.text
            assert answer.json()["created"] == created
    await tab.until_shows(unread=2)
    assert {item["level"] for item in tab.inbox.items.values()} == {"success", "error"}
    assert max(tab.inbox.times_added.values()) == 1
    await tab.until_consistent()
