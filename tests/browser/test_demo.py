"""The demo page, in Chromium, with a real server behind it."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.live.servers import Server, manage

from .conftest import SignIn, keep_toasts, write


async def badge(page: Page, count: int) -> None:
    await expect(page.get_by_test_id("badge")).to_have_attribute("data-count", str(count))


async def unread(page: Page) -> int:
    return int(await page.get_by_test_id("badge").get_attribute("data-count") or 0)


async def read_everything(page: Page) -> None:
    await page.get_by_test_id("mark-all-read").press(
        "Enter"
    )  # a click would wait until there is something to read
    await badge(page, 0)


async def test_a_message_rings_is_counted_is_read_and_its_receipt_comes_back(
    sign_in: SignIn, pictures: Path
) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    second = await sign_in("grace", beside=grace)
    for page in (ada, grace, second):
        await keep_toasts(page)
    before = await unread(grace)

    await write(ada, "grace", "Shall we compile it?")

    # Once, in the tab that was looked at last.
    toast = second.get_by_test_id("toast").filter(has_text="Shall we compile it?")
    await expect(toast).to_be_visible()
    await expect(toast).to_contain_text("New message from Ada Lovelace")
    await badge(grace, before + 1)
    await badge(second, before + 1)
    await expect(grace.get_by_test_id("person-ada")).to_have_attribute("data-online", "true")
    await second.screenshot(path=pictures / "toast.png")

    await grace.get_by_test_id("mark-all-read").click()
    await badge(grace, 0)
    await badge(second, 0)

    # Seen is read.
    await grace.get_by_test_id("person-ada").click()
    await expect(grace.get_by_test_id("message").filter(has_text="Shall we compile it?")).to_be_visible()
    sent = ada.get_by_test_id("message").filter(has_text="Shall we compile it?")
    await expect(sent.locator(".receipt")).to_have_text("Read")
    # It informs: it is in the list, isn't counted, and what ada is looking at causes no toast.
    receipt = ada.get_by_test_id("notification-item").filter(has_text="Message read by Grace Hopper")
    await expect(receipt.filter(has_text="Shall we compile it?")).to_have_attribute("data-read", "true")
    await expect(ada.get_by_test_id("toast").filter(has_text="Message read by")).to_have_count(0)


async def test_the_number_beside_a_person_counts_their_unread_messages_and_no_receipts(
    sign_in: SignIn,
) -> None:
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    # Both have read what there was.
    for page, other in ((linus, "margaret"), (margaret, "linus")):
        await read_everything(page)
        await expect(page.get_by_test_id(f"person-{other}").locator(".count")).to_have_count(0)

    await write(linus, "margaret", "One for the count")
    number = margaret.get_by_test_id("person-linus").locator(".count")
    await expect(number).to_have_text("1 unread")
    await margaret.get_by_test_id("person-linus").click()
    await expect(number).to_have_count(0)
    receipt = linus.get_by_test_id("notification-item").filter(has_text="One for the count")
    await expect(receipt).to_have_attribute("data-read", "true")
    await expect(linus.get_by_test_id("person-margaret").locator(".count")).to_have_count(0)


async def test_the_number_beside_a_person_counts_what_the_list_does_not_show(sign_in: SignIn) -> None:
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    await read_everything(margaret)
    await write(linus, "margaret", "Far below")
    await margaret.get_by_test_id("fault-flood").click()
    await badge(margaret, 501)
    await margaret.reload()
    number = margaret.get_by_test_id("person-linus").locator(".count")
    await expect(number).to_have_text("1 unread")
    await expect(margaret.get_by_test_id("notification-item").filter(has_text="Far below")).to_have_count(0)
    # Read on another device.
    other = await sign_in("margaret")
    await other.get_by_test_id("person-linus").click()
    await expect(number).to_have_count(0)
    await read_everything(margaret)


async def test_the_title_tells_the_count(sign_in: SignIn) -> None:
    linus, margaret = await sign_in("linus"), await sign_in("margaret")
    before = await unread(margaret)
    await write(linus, "margaret", "Ping")
    await expect(margaret).to_have_title(re.compile(rf"\({before + 1}\)"))


async def test_whoever_leaves_is_shown_offline(sign_in: SignIn) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("data-online", "true")
    await grace.close()
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("data-online", "false", timeout=30_000)


async def test_a_reload_comes_back_with_everything_and_is_no_event(sign_in: SignIn) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    await write(ada, "grace", "Before the reload")
    await expect(
        grace.get_by_test_id("notification-item").filter(has_text="Before the reload")
    ).to_be_visible()
    count = await unread(grace)
    await grace.reload()
    await expect(
        grace.get_by_test_id("notification-item").filter(has_text="Before the reload")
    ).to_be_visible()
    await badge(grace, count)
    await expect(ada.get_by_test_id("person-grace")).to_have_attribute("data-online", "true")


async def test_what_came_while_offline_is_there_afterwards_once(sign_in: SignIn) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    before = await unread(grace)
    await grace.context.set_offline(offline=True)
    for number in range(3):
        await write(ada, "grace", f"Offline {number}")
    await grace.context.set_offline(offline=False)
    for number in range(3):
        await expect(
            grace.get_by_test_id("notification-item").filter(has_text=f"Offline {number}")
        ).to_have_count(1)
    await badge(grace, before + 3)


async def test_the_page_finds_the_server_again_after_a_restart(sign_in: SignIn, server: Server) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    server.stop()
    server.start()
    state = '[data-testid=connection-state][data-state="connected"]'
    await ada.locator(state).wait_for(timeout=30_000)
    await grace.locator(state).wait_for(timeout=30_000)
    await write(ada, "grace", "After the restart")
    await expect(
        grace.get_by_test_id("notification-item").filter(has_text="After the restart")
    ).to_have_count(1)


async def test_a_message_made_in_a_shell_shows_a_toast(sign_in: SignIn, environment: dict[str, str]) -> None:
    grace = await sign_in("grace")
    await keep_toasts(grace)
    code = (
        "from django.contrib.auth.models import User; from messaging.models import Message;"
        "get = lambda name: User.objects.get(username=name);"
        "Message.objects.create(sender=get('ada'), receiver=get('grace'), content='Typed into a shell')"
    )
    manage(environment, "shell", "-v0", "-c", code)
    await expect(grace.get_by_test_id("toast").filter(has_text="Typed into a shell")).to_be_visible()


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</p><a href='javascript:alert(1)'>x</a>",
)


async def test_what_people_write_is_text_and_nothing_else(sign_in: SignIn) -> None:
    ada, grace = await sign_in("ada"), await sign_in("grace")
    alerts: list[str] = []
    grace.on("dialog", lambda dialog: alerts.append(dialog.message))
    await keep_toasts(grace)
    for text in HOSTILE:
        await write(ada, "grace", text)
        toast = grace.get_by_test_id("toast").filter(has_text=text[:20]).first
        await expect(toast).to_be_visible()
        assert await grace.locator("doorbell-toasts img, [data-testid=notification-item] img").count() == 0
    assert not alerts


async def test_signing_out_ends_the_other_tab_too(sign_in: SignIn) -> None:
    linus = await sign_in("linus")
    other = await sign_in("linus", beside=linus)
    await linus.get_by_test_id("sign-out").click()
    await expect(linus.get_by_test_id("sign-in-ada")).to_be_visible()
    await expect(other.locator('[data-testid=connection-state][data-state="connected"]')).to_have_count(0)
