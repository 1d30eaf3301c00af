"""A program without Django publishes to a user whose page is open."""

import asyncio
import json
import subprocess
import sys

from playwright.async_api import expect

from tests.live.servers import Server, manage
from tests.live.test_publish import PROGRAM

from .conftest import SignIn

# A toast is gone after a while.
REMEMBER_TOASTS = """() => {
    window.shown = [];
    new MutationObserver(changes => {
        for (const node of changes.flatMap(change => [...change.addedNodes]))
            if (node.dataset?.testid === "toast") shown.push(node.textContent);
    }).observe(document.querySelector("doorbell-toasts"), { childList: true, subtree: true });
}"""


async def test_published_twice_with_the_same_key_it_is_one_toast(
    sign_in: SignIn, server: Server, environment: dict[str, str]
) -> None:
    secret = manage(environment, "create_api_token", "shop").strip()
    page = await sign_in("margaret")
    await page.evaluate(REMEMBER_TOASTS)

    async def publish(title: str, key: str) -> str:
        item = {
            "user": "margaret",
            "notification_type": "announcement",
            "title": title,
            "idempotency_key": key,
        }
        command = [sys.executable, "-c", PROGRAM, f"{server.url}/api/v1/publish", secret, json.dumps(item)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        return done.stdout

    assert '"created":1' in await publish("Order 7 has left", "order-7")
    assert '"duplicates":1' in await publish("Order 7 has left", "order-7")
    assert '"created":1' in await publish("And that was all", "order-8")
    await expect(page.get_by_test_id("notification-item").filter(has_text="And that was all")).to_be_visible()
    # By now a second toast would have been shown as well.
    shown = await page.evaluate("shown")
    assert sum("Order 7 has left" in toast for toast in shown) == 1, shown
    await expect(page.get_by_test_id("notification-item").filter(has_text="Order 7 has left")).to_have_count(
        1
    )
