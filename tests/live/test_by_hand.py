"""What an administrator does beside running servers, in the admin or by a command, reaches every open page."""

import socket

import httpx
import pytest

from .client import CSRF, Person
from .conftest import Deployment
from .tab import Tab


async def test_what_a_command_sends_has_been_pushed_when_it_returns(for_external_writes: Deployment) -> None:
    person = for_external_writes.person(for_external_writes.servers[0])
    tab = await person.tab()
    printed = await for_external_writes.manage(
        "notify", person.username, "By a command", "Hello!", "--level=warning"
    )
    assert printed.startswith(f"Notified {person.username}")
    # The command assigned a revision, its last step before the push: no sweep was needed.
    query = f"SELECT revision FROM messaging_notification WHERE user_id = {person.id}"
    assert [revision for (revision,) in for_external_writes.database.read(query)] == [1]
    await tab.until_shows(messages=0, unread=1)
    [shown] = tab.inbox.items.values()
    assert (shown["title"], shown["level"]) == ("By a command", "warning")
    if for_external_writes.with_redis:
        assert not any(frame["replayed"] for frame in tab.of_type("inbox"))
    await tab.until_consistent()


async def test_a_port_in_use_is_reported_without_a_traceback(deployment: Deployment) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            AssertionError, match=f"CommandError: Could not listen at 127.0.0.1:{port}, for the reason above"
        ):
            await deployment.manage("serve", "--port", str(port))


async def test_messages_marked_read_in_the_admin_are_receipts_in_the_senders_open_page(
    push_only: Deployment,
) -> None:
    server = push_only.servers[0]
    ada, grace, root = push_only.people(server, 3)
    push_only.database.write(
        f"UPDATE auth_user SET is_staff = TRUE, is_superuser = TRUE WHERE id = {root.id}"
    )
    messages = [await ada.write_to(grace, f"Number {number}") for number in range(3)]
    sender, receiver = await ada.tab(), await grace.tab()
    await receiver.until_shows(messages=3, unread=3)
    await mark(root, "mark_read", messages)
    await receiver.until_shows(unread=0)

    def receipts(tab: Tab) -> list[bool]:
        items = tab.inbox.items.values()
        read = [item["is_read"] for item in items if item["notification_type"] == "message_read"]
        return read if len(read) == 3 else []

    assert await sender.until(receipts, what="three receipts") == [True] * 3
    assert not any(frame["replayed"] for frame in sender.of_type("inbox"))
    await mark(root, "mark_unread", messages[:1])
    await receiver.until_shows(unread=1)
    for tab in (sender, receiver):
        await tab.until_consistent()


async def mark(root: Person, action: str, messages: list[int]) -> None:
    """Choose messages in the admin's list, and an action."""
    cookies = {"csrftoken": CSRF, "sessionid": root.session}
    form = {"action": action, "_selected_action": [str(message) for message in messages]}
    async with httpx.AsyncClient(base_url=root.base_url, cookies=cookies, trust_env=False) as http:
        answer = await http.post("/admin/messaging/message/", data=form, headers={"X-CSRFToken": CSRF})
        assert answer.status_code == 302, answer.text[:500]
        assert answer.headers["Location"] == "/admin/messaging/message/"
