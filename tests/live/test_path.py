"""The main path: from a saved message to every page of its receiver."""

from .conftest import Deployment
from .servers import PASSWORD
from .tab import Tab


async def test_the_whole_path_from_sign_in_to_the_receipt(push_only: Deployment) -> None:
    server, people = push_only.servers[0], push_only.database.people
    names = [account["username"] for account in (people.pop(0), people.pop(0))]
    ada, grace = push_only.anonymous(server), push_only.anonymous(server)
    assert (await ada.call("GET", "session"))["user"] is None
    await ada.sign_in(names[0], PASSWORD)
    await grace.sign_in(names[1], PASSWORD)
    sender, first, second = await ada.tab(), await grace.tab(), await grace.tab()

    message = await ada.write_to(grace, "Lunch at one?")
    for tab in (first, second):
        await tab.until_shows(messages=1, unread=1)
        assert not any(frame["replayed"] for frame in tab.of_type("inbox"))
        assert tab.messages == first.messages
    shown = first.messages[0]
    assert shown["title"] == f"New message from {ada.username}"
    assert shown["description"] == "Lunch at one?"
    assert shown["actor"] == {"id": ada.id, "username": ada.username}
    assert (shown["message_id"], shown["is_read"]) == (message, False)
    for tab in (first, second):
        await tab.until_consistent()

    read = await grace.call("POST", f"messages/{message}/read")
    assert read["is_read"] is True
    for tab in (first, second):
        await tab.until_shows(unread=0)
        assert [shown["id"]] in [frame.get("read") for frame in tab.of_type("inbox")]

    def receipts(tab: Tab) -> list[int]:
        items = tab.inbox.items.values()
        return [item["actor"]["id"] for item in items if item["notification_type"] == "message_read"]

    assert await sender.until(receipts, what="the receipt") == [grace.id]
    await grace.call("POST", f"messages/{message}/read")
    for tab in (sender, first, second):
        await tab.until_consistent()
        assert set(tab.inbox.times_added.values()) == {1}
    assert receipts(sender) == [grace.id]
    # A receipt informs: it is in the list, and isn't counted.
    assert (await sender.until_consistent()).unread_count == 0


async def test_marks_and_removals_reach_every_page(shared: Deployment) -> None:
    ada, grace = shared.people(shared.servers[0], 2)
    one, other = await grace.tab(), await grace.tab()
    for number in range(3):
        await ada.write_to(grace, f"Number {number}")
    await one.until_shows(messages=3)
    first, second, third = sorted(one.inbox.items)

    marked = await grace.call("POST", "notifications/read", json={"ids": [first, second, 10**9]})
    assert (marked["ids"], marked["unread_count"]) == ([first, second], 1)
    await other.until_revision(marked["revision"])
    assert other.inbox.unread_count == 1
    marked = await grace.call("POST", "notifications/unread", json={"ids": [first]})
    await other.until_shows(unread=2)
    await grace.call("DELETE", f"notifications/{third}", 204)
    await other.until(lambda tab: sorted(tab.inbox.items) == [first, second])
    marked = await grace.call("POST", "notifications/read", json={"all": True})
    assert marked["ids"] == [first]
    late = await grace.tab()
    for tab in (one, other, late):
        await tab.until_consistent()


async def test_a_message_made_in_a_shell_beside_the_server_arrives(for_external_writes: Deployment) -> None:
    ada, grace = for_external_writes.people(for_external_writes.servers[0], 2)
    tab = await grace.tab()
    code = f"""
ada, grace = User.objects.get(pk={ada.id}), User.objects.get(pk={grace.id})
message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
print(Notification.objects.filter(user=grace).count())
"""
    printed = await for_external_writes.manage("shell", "-v0", "-c", f"from messaging.models import *{code}")
    await tab.until_shows(messages=1, unread=1)
    assert int(printed) == 1
    await tab.until_consistent()


async def test_rows_without_an_event_arrive(shared: Deployment) -> None:
    """A process killed between commit and push leaves such rows, and so does raw SQL."""
    grace = shared.person(shared.servers[0])
    one, other = await grace.tab(), await grace.tab()
    columns = "user_id, notification_type, title, description, level, is_read"
    for number in range(3):
        shared.database.write(
            f"INSERT INTO messaging_notification ({columns})"
            f" VALUES ({grace.id}, 'announcement', 'Number {number}', '', 'info', FALSE)"
        )
    for tab in (one, other):
        await tab.until(lambda tab: len(tab.inbox.items) == 3, what="the rows")
        await tab.until_consistent()
        assert set(tab.inbox.times_added.values()) == {1}


async def test_the_load_balancer_is_answered(shared: Deployment) -> None:
    anonymous = shared.anonymous(shared.servers[0])
    healthz = await anonymous.http.get(f"{shared.servers[0].url}/healthz")
    assert (healthz.status_code, healthz.text) == (200, "ok")
    assert await anonymous.readyz("ok", database="ok", layer="ok") == 200
