"""What a type declares, in Chromium: actions by link and POST, its icon, and a page's own content of a notification."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.hosts.project import HostProject
from tests.hosts.visitor import set_up
from tests.live.servers import Server

from .test_tag import sign_in, synced

FILES = {
    "shop/__init__.py": "",
    "shop/apps.py": """
from django.apps import AppConfig
class ShopConfig(AppConfig):
    name = "shop"
    def ready(self):
        from messaging.actions import Action
        from messaging.notification_types import NotificationType, register
        register(NotificationType(name="order_waits", label="Order waits", icon="clock", actions=(
            Action(label="Approve", post="/orders/{order_id}/approve/"),
            Action(label="Show", url="/orders/{order_id}/"),
        )))
""",
    "shop/views.py": """
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST
approved = []
@require_POST
def approve(request, order_id):
    if order_id == "9":
        return HttpResponse("Not yours.", status=403)
    approved.append((request.user.username, order_id))
    return redirect("https://elsewhere.invalid/")
def show(request, order_id):
    return HttpResponse(f"<title>Order {order_id}</title>{approved}")
""",
}
URLS = """
from shop import views
urlpatterns += [
    path("orders/<order_id>/approve/", views.approve),
    path("orders/<order_id>/", views.show),
]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HostProject:
    project = HostProject(tmp_path_factory.mktemp("actions"), 'INSTALLED_APPS += ["shop"]', FILES)
    project.write("mysite/urls.py", URLS, append=True)
    set_up(project)
    return project


@pytest.fixture(scope="module")
def host(project: HostProject) -> Iterator[Server]:
    server = project.start("runserver")
    yield server
    server.kill()


async def test_actions_icons_and_own_content(browser: Browser, project: HostProject, host: Server) -> None:
    def notify(order: int, title: str) -> None:
        data = json.dumps({"order_id": order})
        project.shell(
            f"from messaging.notifications import notify; notify(1, 'order_waits', {title!r}, data={data})"
        )

    context = await browser.new_context(viewport={"width": 1000, "height": 700})
    await sign_in(context, project, host.url)
    page = await context.new_page()
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    await synced(page, f"{host.url}/")
    await page.locator("doorbell-toasts").evaluate("region => region.setAttribute('duration', '600000')")

    # By the keyboard, in a toast: sent with the login and its CSRF token; the redirect isn't followed.
    await asyncio.to_thread(notify, 7, "Order 7")
    toast = page.get_by_test_id("toast").filter(has_text="Order 7")
    await expect(toast.locator(".toast-mark svg")).to_be_visible(timeout=60_000)
    await toast.get_by_role("button", name="Approve: Order 7").press("Enter")
    await expect(toast).to_have_count(0, timeout=60_000)
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", "0", timeout=60_000)

    # In the list: a refusal is said beside the button, which keeps the focus; the notification stays unread.
    await asyncio.to_thread(notify, 9, "Order 9")
    await expect(page.get_by_test_id("toast").filter(has_text="Order 9")).to_be_visible(timeout=60_000)
    await page.locator("doorbell-toasts").evaluate("region => region.clear()")
    await page.evaluate(
        """() => { document.querySelector("doorbell-bell").render = ({ title }) => {
            if (title === "Order 7") throw new Error("by the page");
            return Object.assign(document.createElement("i"), { textContent: `Own: ${title}` });
        }; }"""
    )
    await page.get_by_test_id("bell").press("Enter")
    panel = page.get_by_test_id("bell-panel")
    await expect(panel.locator(".bell-text i")).to_have_text("Own: Order 9")
    await expect(panel.locator(".bell-title")).to_have_text("Order 7")
    [line] = [line for line in console if "render of <doorbell-list> failed" in line]
    assert '"order_waits"' in line
    assert "by the page" in line
    approve = panel.get_by_role("button", name="Approve: Order 9")
    await approve.press("Enter")
    item = panel.get_by_test_id("notification-item").filter(has_text="Own: Order 9")
    await expect(item.get_by_role("status")).to_have_text("failed", timeout=60_000)
    await expect(approve).to_be_focused()
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", "1")

    # A link; both marked what they are about as read, and only what was allowed was done.
    await panel.get_by_role("link", name="Show: Order 9").press("Enter")
    await expect(page).to_have_title("Order 9", timeout=60_000)
    await expect(page.locator("body")).to_contain_text("[('ada', '7')]")
    unread = "from messaging.models import *; print(Notification.objects.filter(is_read=False).count())"
    for _ in range(100):
        if int(await asyncio.to_thread(project.shell, unread)) == 0:
            break
    else:
        raise AssertionError("unread")
    await context.close()
