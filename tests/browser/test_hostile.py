"""What people write is text and nothing else, in whatever field it comes; and the page obeys a strict policy."""

import re

from playwright.async_api import expect

from tests.live.servers import Server, manage

from .conftest import SignIn, keep_toasts, kept

ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "'\"><svg onload=alert(3)>",
    "{{constructor.constructor('alert(4)')()}}",
    "</p><a href='javascript:alert(5)'>x</a>",
)

# Past every check of the API: a title, a description and an address straight into the table, and a person so named.
PLANT = """
from django.contrib.auth.models import User
from django.db import connection
from messaging.models import Message, Notification
grace = User.objects.get(username="grace")
for n, text in enumerate({attacks!r}):
    villain, _ = User.objects.get_or_create(username=f"{{text}}{{n}}"[:150], defaults={{"first_name": text}})
    Message.objects.create(sender=villain, receiver=grace, content=text)
    Notification.objects.create(user=grace, actor=villain, notification_type="announcement", title=text,
        description=text, level="warning")
with connection.cursor() as cursor:
    cursor.execute("UPDATE messaging_notification SET url = 'javascript:alert(6)' WHERE user_id = %s", [grace.pk])
"""


async def test_every_field_is_shown_as_text(sign_in: SignIn, environment: dict[str, str]) -> None:
    grace = await sign_in("grace")
    alerts: list[str] = []
    grace.on("dialog", lambda dialog: alerts.append(dialog.message))
    manage(environment, "shell", "-v0", "-c", PLANT.format(attacks=ATTACKS))
    await grace.reload()
    listed = grace.locator(".notifications").get_by_test_id("notification-item")
    for attack in ATTACKS:
        await expect(listed.filter(has_text=attack).first).to_be_visible()
        person = grace.locator(".person").filter(has_text=attack).first
        await person.click()
        await expect(grace.get_by_test_id("message").filter(has_text=attack).first).to_be_visible()
        await expect(grace.locator("[data-part=conversation-heading]")).to_contain_text(attack)
    # By every way that a page has: toasts and the bell, the console with its frames opened, and its own filter.
    await keep_toasts(grace)
    await grace.evaluate(
        "attacks => attacks.forEach((text, id) => document.querySelector('doorbell-toasts').show("
        "{ id, title: text, description: text, url: 'javascript:alert(7)', action: text, actor: { username: text } }))",
        list(ATTACKS),
    )
    await expect(grace.get_by_test_id("toast").filter(has_text=ATTACKS[0])).to_be_visible()
    await grace.get_by_test_id("bell").click()
    await expect(grace.get_by_test_id("bell-panel").get_by_text(ATTACKS[0]).first).to_be_visible()
    await grace.keyboard.press("Escape")
    await grace.get_by_test_id("console-text").fill(ATTACKS[0])
    await grace.locator("[data-testid=wire] summary").first.evaluate("node => node.click()")

    bad = "main :is(script, svg[onload], img, a[href^='javascript' i], [onerror])"
    assert await grace.locator(bad).count() == 0
    assert not alerts


async def test_the_policy_is_strict_and_the_whole_page_works_under_it(
    sign_in: SignIn, server: Server
) -> None:
    """Each test fails on what the console calls an error; this one looks at the policy itself."""
    page = await sign_in("ada")
    answer = await page.request.get(server.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "object-src 'none'" in policy
    assert not re.search(r"unsafe|data:(?!;)|\*|https?:", policy.replace("img-src 'self' data:", ""))
    # The negative control, in a tab whose console errors are ignored: what the policy forbids doesn't happen.
    tab = await page.context.new_page()
    await tab.goto(server.url)
    blocked = await tab.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
            const element = document.createElement("div");
            element.setAttribute("style", "color: red");
            document.body.append(element);
        })"""
    )
    assert blocked.startswith("style-src")
    await kept(page, "ada")
