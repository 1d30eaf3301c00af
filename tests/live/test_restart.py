"""Servers that stop, die and come back, with clients on them."""

import asyncio
import time

from .conftest import Deployment


async def test_clients_of_a_killed_server_get_everything_once_when_it_is_back(deployment: Deployment) -> None:
    server = await deployment.start()
    ada, grace = deployment.people(server, 2)
    tabs = [await grace.tab() for _ in range(3)]
    for number in range(5):
        await ada.write_to(grace, f"Before {number}")
    await tabs[0].until_shows(messages=5)
    read = sorted(tabs[0].inbox.items)[:2]

    server.kill()
    for tab in tabs:
        assert await tab.until_closed() == 1006
    code = f"""
from messaging.models import *
from messaging import notifications
ada, grace = User.objects.get(pk={ada.id}), User.objects.get(pk={grace.id})
for number in range(20):
    Message.objects.create(sender=ada, receiver=grace, content=f"While away {{number}}")
notifications.mark_read(grace, {read})
Notification.objects.filter(user=grace).order_by("id")[2].delete()
"""
    await deployment.manage("shell", "-v0", "-c", code)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(tab.reopen() for tab in tabs))
    await ada.write_to(grace, "After")
    for tab in tabs:
        fresh = await tab.until_consistent()
        assert (len(fresh.items), fresh.unread_count) == (25, 23)
        assert tab.inbox.resets == 0
        assert {pk: count for pk, count in tab.inbox.times_added.items() if pk not in read} == dict.fromkeys(
            tab.inbox.times_added.keys() - set(read), 1
        )
    await deployment.check_inboxes()


async def test_a_server_that_stops_closes_with_1012_and_no_user_is_shown_offline(
    deployment: Deployment,
) -> None:
    """Its client comes back at another process, within the grace."""
    server, other = await deployment.start_two(REALTIME_OFFLINE_GRACE_SECONDS="1")
    ada, grace = deployment.people(server, 2)
    watcher = await deployment.at_server(grace, other).tab()
    ada_there = deployment.at_server(ada, other)
    await ada.write_to(grace)
    tab = await ada.tab()
    await watcher.until(lambda tab: tab.sees_online(ada), what="Ada online")
    shown = await deployment.at_server(grace, other).presence_of(ada)
    assert shown is not None

    began = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    assert await tab.until_closed() == 1012
    assert await stopping == 0
    took = time.monotonic() - began
    print(f"stopped in {took:.1f} s")
    assert took < 20
    # Longer than the grace after a client's own close and than the reaper's interval; after a server's it is longer.
    await asyncio.sleep(3.5)
    back = await ada_there.tab()
    await asyncio.sleep(1)
    assert watcher.sees_online(ada)
    assert watcher.presence.changes[-1]["version"] == shown["version"]
    assert await deployment.at_server(grace, other).presence_of(ada) == shown
    await grace_writes(deployment, back.person.id, watcher.person.id)
    await back.until(lambda tab: any("Welcome" in item["description"] for item in tab.messages))
    await back.until_consistent()


async def grace_writes(deployment: Deployment, to: int, by: int) -> None:
    code = f"Message.objects.create(sender_id={by}, receiver_id={to}, content='Welcome back')"
    await deployment.manage("shell", "-v0", "-c", f"from messaging.models import Message; {code}")
