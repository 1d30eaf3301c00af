"""One of two server processes is killed with many people on it."""

import json
import os
import time

from conftest import size
from tests.live.client import Person

from .conftest import Deployment

ONLY_HERE = size(24, full=500)
ELSEWHERE = ONLY_HERE // 4
# A shorter lease in `make test`; with FULL_SIZE the server's own, and then the promise: 30 s.
SETTINGS = {} if os.environ.get("FULL_SIZE") else {"REALTIME_LEASE_SECONDS": "3"}
TIMEOUT = 90.0

CROWD = """
import json
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
from messaging.models import Contact
store, until = SessionStore(), timezone.now() + timezone.timedelta(days=1)
User.objects.bulk_create(User(username=f"crowd{n:04}", password="!") for n in range(%d))
crowd, sessions, people = list(User.objects.filter(username__startswith="crowd").order_by("pk")), [], []
for user in crowd:
    login = {"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
        "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0]}
    key = f"crowd{user.pk:027}"
    sessions.append(Session(session_key=key, session_data=store.encode(login), expire_date=until))
    people.append({"id": user.pk, "username": user.username, "session": key})
Session.objects.bulk_create(sessions)
Contact.objects.bulk_create(Contact(low_id=%d, high_id=user.pk) for user in crowd)
print(json.dumps(people))
"""


async def test_users_of_the_killed_process_go_offline_in_time_and_no_others_do(
    deployment: Deployment,
) -> None:
    here, there = await deployment.start_two(**SETTINGS)
    watching = deployment.person(there)
    printed = await deployment.manage("shell", "-v0", "-c", CROWD % (ONLY_HERE + 2 * ELSEWHERE, watching.id))
    crowd = [Person(here.url, **account) for account in json.loads(printed)]
    only, both, away = crowd[:ONLY_HERE], crowd[ONLY_HERE:-ELSEWHERE], crowd[-ELSEWHERE:]
    sockets = []
    try:
        for person in crowd:
            if person not in away:
                sockets.append(await person.socket())
            if person not in only:
                sockets.append(await deployment.at_server(person, there).socket())
        watcher = await watching.tab()
        await watcher.until(
            lambda tab: all(tab.sees_online(person) for person in crowd), seconds=TIMEOUT, what="all online"
        )
        before = {person.id: await shown(watching, person) for person in (*both, *away)}
        changes_before = len(watcher.presence.changes)

        here.kill()
        died = time.monotonic()
        await watcher.until(
            lambda tab: not any(tab.sees_online(person) for person in only),
            seconds=TIMEOUT,
            what="offline whose only tab was there",
        )
        took = time.monotonic() - died
        print(f"{ONLY_HERE} people offline {took:.1f} s after kill -9; {2 * ELSEWHERE} others never blinked")
        if os.environ.get("FULL_SIZE"):
            assert took <= 30
        assert {frame["user"]["id"] for frame in watcher.presence.changes[changes_before:]} == {
            person.id for person in only
        }
        assert {person.id: await shown(watching, person) for person in (*both, *away)} == before
        assert len(deployment.database.read("SELECT * FROM realtime_connection")) == 2 * ELSEWHERE + 1
        assert len(deployment.database.read("SELECT * FROM realtime_serverprocess")) == 1
    finally:
        for socket in sockets:
            socket.transport.abort()
        for person in crowd:
            await person.close()


async def shown(watching: Person, person: Person) -> tuple[bool, int]:
    seen = await watching.presence_of(person)
    assert seen is not None
    return seen["is_online"], seen["version"]
