"""Two server processes on one PostgreSQL and one Redis."""

import asyncio
import re
import time

from .conftest import NO_SWEEP, Deployment
from .servers import Server

LEASE_SECONDS = 3
# The lease, the reaper's interval, the grace after the expiry, and a busy machine.
LONGEST_GHOST = LEASE_SECONDS + 2 + 10 + 10


async def test_a_message_posted_to_one_process_reaches_a_socket_on_the_other(deployment: Deployment) -> None:
    here, there = await deployment.start_two(**NO_SWEEP)
    ada, grace = deployment.people(here, 2)
    ada_there, grace_there = deployment.at_server(ada, there), deployment.at_server(grace, there)
    one, other = await grace.tab(), await grace_there.tab()
    # One after the other: of two processes' pushes the later one may come first, and then the database is asked.
    for number in range(10):
        await (ada, ada_there)[number % 2].write_to(grace, f"Number {number}")
        for tab in (one, other):
            await tab.until_shows(messages=number + 1)
    for tab in (one, other):
        assert not any(frame["replayed"] for frame in tab.of_type("inbox"))
    for number in range(20):
        await ada.write_to(grace, f"Number {number}, here")
        await ada_there.write_to(grace, f"Number {number}, there")
    for tab in (one, other):
        await tab.until_shows(messages=50)
        assert set(tab.inbox.times_added.values()) == {1}
    marked = await grace_there.call("POST", "notifications/read", json={"all": True})
    await one.until_revision(marked["revision"])
    for tab in (one, other):
        await tab.until_consistent()
    assert one.inbox.unread_count == 0

    # Signing out at one process closes this login's sockets at the other.
    await grace.call("DELETE", "session", 204)
    assert await one.until_closed() == 4503
    assert await other.until_closed() == 4503
    await deployment.check_inboxes()


async def test_one_notification_can_be_followed_through_both_logs_by_the_id_of_its_request(
    deployment: Deployment,
) -> None:
    here, there = await deployment.start_two(**NO_SWEEP, LOG_LEVEL="DEBUG")
    ada, grace = deployment.people(here, 2)
    tab = await deployment.at_server(grace, there).tab()
    body = {"receiver": grace.username, "content": "Hello!"}
    answer = await ada.http.post("messages", json=body, headers={"X-Request-ID": "proxy-4711"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (201, "proxy-4711")
    await tab.until_shows(unread=1)
    (notification,) = tab.inbox.items
    await ada.write_to(grace, "Another one, of a request of its own")
    await tab.until_shows(unread=2)

    way = [f"stored: notifications=[{notification}]", f"revision assigned: user={grace.id} revision=1 "]
    way += [f"notifications=[{notification}]", f"published: user={grace.id} revision=1 "]
    way += ["answered: method=POST status=201"]
    published = await asyncio.to_thread(lines_of, here, "request=proxy-4711", way)
    assert all(any(text in line for line in published) for text in way), published
    (pushed,) = await asyncio.to_thread(lines_of, there, "request=proxy-4711", ["pushed: "])
    assert f"user={grace.id} revision=1 notifications=[{notification}] connections=[" in pushed
    # Whom it reached, by the connection's own lines.
    connection = re.findall(r"connections=\['([0-9a-f-]+)'\]", pushed)[0]
    assert any(f"opened: user={grace.id} " in line for line in lines_of(there, f"connection={connection}"))
    # And no other notification's.
    assert not any("revision=2" in line for line in lines_of(here, "proxy-4711"))


def lines_of(server: Server, text: str, until: list[str] | None = None) -> list[str]:
    """The lines of its log with this text, when these are among them. (The answer may come before its line.)"""
    deadline = time.monotonic() + 20
    while True:
        lines = [line for line in server.log.read_text().splitlines() if text in line]
        if time.monotonic() > deadline or all(any(one in line for line in lines) for one in until or ()):
            return lines
        time.sleep(0.05)


async def test_presence_counts_tabs_on_all_processes_and_outlives_a_killed_one(
    deployment: Deployment,
) -> None:
    here, there = await deployment.start_two(
        REALTIME_LEASE_SECONDS=str(LEASE_SECONDS), REALTIME_OFFLINE_GRACE_SECONDS="1"
    )
    ada, grace, linus = deployment.people(here, 3)
    watcher = await deployment.at_server(grace, there).tab()
    await ada.write_to(grace)
    await linus.write_to(grace)
    one, other = await ada.tab(), await deployment.at_server(ada, there).tab()
    await watcher.until(lambda tab: tab.sees_online(ada), what="Ada online")

    # The tab at one process closes: she stays online. Then the other one: she goes offline.
    await one.close()
    ghost = await linus.tab()
    await watcher.until(lambda tab: tab.sees_online(linus), what="Linus online")
    assert ghost.is_open
    await deployment.manage("check")  # takes longer than the grace
    assert watcher.sees_online(ada)
    await other.close()
    await watcher.until(lambda tab: not tab.sees_online(ada), what="Ada offline")
    changes = [frame["is_online"] for frame in watcher.presence.changes if frame["user"]["id"] == ada.id]
    # She became a contact, came and went: no flicker in between.
    assert changes[-2:] == [True, False]
    assert sum(changes) == 1

    # Linus' process is killed.
    here.kill()
    died = time.monotonic()
    assert await ghost.until_closed() == 1006
    await watcher.until(lambda tab: not tab.sees_online(linus), seconds=LONGEST_GHOST, what="Linus offline")
    print(f"offline {time.monotonic() - died:.1f} s after kill -9")
    seen = await deployment.at_server(grace, there).presence_of(linus)
    assert seen is not None
    assert seen["is_online"] is False
    for table in ("connection", "serverprocess"):
        assert len(deployment.database.read(f"SELECT * FROM realtime_{table}")) == 1, f"a leftover in {table}"
    # Back at the living process he is online at once.
    back = await deployment.at_server(linus, there).tab()
    await watcher.until(lambda tab: tab.sees_online(linus), what="Linus back")
    assert back.is_open
