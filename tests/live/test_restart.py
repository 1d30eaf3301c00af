"""Servers that stop, die and come back, with clients on them."""

import asyncio
import time

from .conftest import World


async def test_clients_of_a_killed_server_get_everything_once_when_it_is_back(world: World) -> None:
    server = await world.start()
    ada, grace = world.people(server, 2)
    tabs = [await grace.tab() for _ in range(3)]
    for number in range(5):
        await ada.write_to(grace, f"Before {number}")
    await tabs[0].shows(messages=5)
    read = sorted(tabs[0].inbox.items)[:2]

    server.kill()
    for tab in tabs:
        assert await tab.closed() == 1006
    code = f"""
from messaging.models import *
from messaging import notifications
ada, grace = User.objects.get(pk={ada.id}), User.objects.get(pk={grace.id})
for number in range(20):
    Message.objects.create(sender=ada, receiver=grace, content=f"While away {{number}}")
notifications.mark_read(grace, {read})
Notification.objects.filter(user=grace).order_by("id")[2].delete()
"""
    await world.manage("shell", "-v0", "-c", code)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(tab.reopen() for tab in tabs))
    await ada.write_to(grace, "After")
    for tab in tabs:
        fresh = await tab.agree()
        assert (len(fresh.items), fresh.unread_count) == (25, 23)
        assert tab.resets == 0
        assert {pk: count for pk, count in tab.told.items() if pk not in read} == dict.fromkeys(
            tab.told.keys() - set(read), 1
        )
    await world.check_inboxes()


async def test_a_server_told_to_stop_says_1012_and_nobody_is_shown_offline(world: World) -> None:
    """Its client comes back at another process, within the grace."""
    server, other = await world.start_two(REALTIME_OFFLINE_GRACE_SECONDS="1")
    ada, grace = world.people(server, 2)
    watcher = await world.elsewhere(grace, other).tab()
    ada_there = world.elsewhere(ada, other)
    await ada.write_to(grace)
    tab = await ada.tab()
    await watcher.until(lambda tab: tab.sees_online(ada), what="Ada online")
    shown = await world.elsewhere(grace, other).presence_of(ada)
    assert shown is not None

    began = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    assert await tab.closed() == 1012
    assert await stopping == 0
    took = time.monotonic() - began
    print(f"stopped in {took:.1f} s")
    assert took < 20
    # Longer than the grace after a socket that the client closed, and than the reaper takes: this one is longer.
    await asyncio.sleep(3.5)
    back = await ada_there.tab()
    await asyncio.sleep(1)
    assert watcher.sees_online(ada)
    assert watcher.presence_log[-1]["version"] == shown["version"]
    assert await world.elsewhere(grace, other).presence_of(ada) == shown
    await grace_writes(world, back.person.id, watcher.person.id)
    await back.until(lambda tab: any("Welcome" in item["description"] for item in tab.messages))
    await back.agree()


async def grace_writes(world: World, to: int, by: int) -> None:
    code = f"Message.objects.create(sender_id={by}, receiver_id={to}, content='Welcome back')"
    await world.manage("shell", "-v0", "-c", f"from messaging.models import Message; {code}")
