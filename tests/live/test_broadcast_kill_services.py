"""The process that sends a broadcast is killed in the middle: another goes on, and nobody is notified twice."""

import asyncio

from .conftest import Deployment

MANY = 10_000
CROWD = f"""
from django.contrib.auth.models import User
User.objects.bulk_create(User(username=f"crowd{{n:05}}", password="!") for n in range({MANY}))
from messaging import broadcast_jobs
content = dict(notification_type="announcement", title="Noon", description="", level=None, url=None)
print(broadcast_jobs.create("admin:noon", None, content, receivers="all active users").total)
"""
JOB = "SELECT state, done, total FROM messaging_broadcastjob"


async def until(deployment: Deployment, states: tuple[str, ...], least: int) -> tuple[str, int, int]:
    async with asyncio.timeout(90):
        while True:
            ((found, done, total),) = await asyncio.to_thread(deployment.database.read, JOB)
            if found in states and done >= least:
                return found, done, total
            await asyncio.sleep(0.02)


async def test_a_killed_broadcast_is_taken_up_and_notifies_everyone_once(deployment: Deployment) -> None:
    total = int(await deployment.manage("shell", "-v0", "-c", CROWD))
    first = await deployment.start()
    await until(deployment, ("sending",), 250)
    first.kill()
    ((_, done, _),) = deployment.database.read(JOB)
    assert 250 <= done < total, "it was to be killed in the middle"
    second = await deployment.start()
    # Its lease runs out after 30 s; here at once.
    deployment.database.write("UPDATE messaging_broadcastjob SET leased_until = now() - interval '1 s'")
    # And one that is told to end, in the middle too unless the machine is slow: the next begins at once.
    await until(deployment, ("sending", "sent"), done + 500)
    assert await asyncio.to_thread(second.stop) == 0
    await deployment.start()
    assert await until(deployment, ("sent",), total) == ("sent", total, total)

    counts = "SELECT count(*), count(DISTINCT user_id), count(revision) FROM messaging_notification "
    assert deployment.database.read(f"{counts} WHERE title = 'Noon'") == [(total, total, total)]
    await deployment.check_inboxes()
