"""What sockets do to presence: who is shown online to whom, and for how long."""

import asyncio
import threading

import pytest
from django.contrib.auth.models import User

from messaging.models import Message, Notification
from realtime.db_threads import in_thread
from realtime.delivery import recovery
from realtime.models import Connection
from realtime.presence import leases, writer
from realtime.presence.writer import presence_writer
from realtime.tests.client import TIMEOUT, eventually
from realtime.tests.presence import shown, shown_now, until_offline, written

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def reaps_often(monkeypatch):
    monkeypatch.setattr(writer, "REAP_SECONDS", 0.05)


async def test_a_socket_shows_its_user_online_and_its_end_offline_after_the_grace(server, ada, settings):
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 0.2
    socket = await server.connect(ada)
    assert (await shown_now(ada))[:2] == (True, 1)
    row = await in_thread(lambda: Connection.objects.select_related("process").get())
    assert (str(row.id), row.user_id, row.process_id) == (
        server.client_socket(ada).id,
        ada.pk,
        presence_writer.process_id,
    )
    assert row.login_hash == server.client_socket(ada).login.hash
    await socket.disconnect()
    await until_offline(ada)
    assert not await in_thread(Connection.objects.exists)


async def test_with_several_tabs_the_last_one_decides(server, ada, settings):
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 0
    tabs = [await server.connect(ada) for _ in range(3)]
    for tab in tabs[:2]:
        await tab.disconnect()
        assert await shown_now(ada) == (True, 1, None)
    await in_thread(leases.reap)
    assert await shown_now(ada) == (True, 1, None)
    await tabs[2].disconnect()
    await until_offline(ada)


async def test_reloads_within_the_grace_are_no_event(server, ada, grace, settings):
    # However long this machine takes for a reload.
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 1_000

    def meet():
        Message.objects.create(sender=grace, receiver=ada, content="Hello!")

    await in_thread(meet)
    watcher = await server.connect(ada)
    socket = await server.connect(grace)
    while not watcher.presence.get("grace", {}).get("is_online"):
        await watcher.next()
    seen = watcher.presence["grace"]
    for _ in range(4):
        await socket.disconnect()
        await written()
        socket = await server.connect(grace)
        await written()
    assert await shown_now(grace) == (True, 1, None)
    await watcher.received_so_far()
    # The sweep may send again what is known, but nothing newer.
    assert watcher.presence["grace"] == seen


async def test_contacts_get_a_frame_and_a_notification(server, ada, grace, settings):
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 0
    await in_thread(lambda: Message.objects.create(sender=grace, receiver=ada, content="Hello!"))
    watcher = await server.connect(ada)
    await written()
    socket = await server.connect(grace)
    # (A frame that she is a contact, and offline, may come first.)
    while not watcher.presence.get("grace", {}).get("is_online") or "grace is online" not in watcher.titles:
        await watcher.next()
    version = watcher.presence["grace"]["version"]
    await socket.disconnect()
    while watcher.presence["grace"]["is_online"] or "grace is offline" not in watcher.titles:
        await watcher.next()
    assert watcher.presence["grace"]["version"] > version
    assert watcher.presence["grace"]["last_seen"].endswith("Z")
    rows = await in_thread(
        lambda: list(
            Notification.objects.filter(user=ada, actor=grace, is_read=True).values_list("title", flat=True)
        )
    )
    assert set(rows) == {"grace is online", "grace is offline"}


@pytest.mark.parametrize("patient", [True, False])
async def test_a_user_who_got_hello_is_online_in_every_process(server, ada, grace, monkeypatch, patient):
    await in_thread(lambda: Message.objects.create(sender=grace, receiver=ada, content="Hello!"))
    release, write, wait = threading.Event(), leases.record, presence_writer.written

    def late(process_id, batch):
        assert release.wait(TIMEOUT)
        return write(process_id, batch)

    async def written(connection_id):
        # Her connect was queued, but isn't written yet.
        assert ada.pk in presence_writer._connecting()
        if patient:
            release.set()
        await wait(connection_id)

    monkeypatch.setattr(leases, "record", late)
    monkeypatch.setattr(writer, "CONNECT_WAIT_SECONDS", TIMEOUT if patient else 0)
    with monkeypatch.context() as patched:
        patched.setattr(presence_writer, "written", written)
        await server.connect(ada)
    # The control doesn't wait, and finds her offline.
    assert (await in_thread(shown, ada))[0] is patient
    socket = await server.connect(grace)
    assert socket.presence.keys() == ({"ada"} if patient else set())
    release.set()
    # A contact that hello missed comes a moment later.
    while "ada" not in socket.presence:
        await socket.next()


async def test_a_single_connect_is_written_at_once(server, ada, monkeypatch):
    presence_writer.start()
    await eventually(lambda: presence_writer.process_id is not None)
    monkeypatch.setattr(writer, "GATHER_SECONDS", 3600)
    await server.connect(ada)
    assert (await in_thread(shown, ada))[0]


async def test_several_that_connect_at_once_are_read_together_once_they_are_written(server, monkeypatch):
    people = await in_thread(lambda: [User.objects.create(username=f"user{number}") for number in range(12)])
    release, write, read, batches = threading.Event(), leases.record, recovery._read, []

    def late(process_id, batch):
        assert release.wait(TIMEOUT)
        return write(process_id, batch)

    def counted(since, without_hello):
        batches.append(len(since))
        return read(since, without_hello)

    presence_writer.start()
    await eventually(lambda: presence_writer.process_id is not None)
    monkeypatch.setattr(leases, "record", late)
    monkeypatch.setattr(recovery, "_read", counted)
    monkeypatch.setattr(writer, "CONNECT_WAIT_SECONDS", TIMEOUT)
    connecting = [asyncio.ensure_future(server.connect(user)) for user in people]
    await eventually(lambda: len(server.hub.users) == len(people))
    await eventually(lambda: all(user.joined for user in server.hub.users.values()))
    await asyncio.sleep(0.2)
    # The first came alone.
    assert sum(batches) <= 2
    release.set()
    await asyncio.gather(*connecting)
    assert sum(batches) >= len(people)
    assert len(batches) <= len(people) / 2


@pytest.mark.parametrize(
    ("code", "least", "most"), [(4000, 15, 20), (4001, 15, 20), (4002, 15, 20), (1012, 15, 20), (4503, 2, 5)]
)
async def test_the_grace_is_longer_after_the_server_closed_and_asked_to_come_back(
    server, ada, code, least, most
):
    socket = await server.connect(ada)
    await written()
    server.client_socket(ada).close(code)
    assert await socket.close_code() == code
    await socket.disconnect()
    await eventually(lambda: not presence_writer._open)
    online, _, left = await shown_now(ada)
    assert online
    assert least < left <= most


async def test_after_the_client_closed_the_grace_is_five_seconds(server, ada):
    socket = await server.connect(ada)
    await written()
    await socket.disconnect()
    _, _, left = await shown_now(ada)
    assert 2 < left <= 5


async def test_the_21st_socket_closes_the_oldest_with_4502(server, ada):
    sockets = [await server.connect(ada) for _ in range(20)]
    await written()
    assert await sockets[0].received_so_far() == []
    sockets.append(await server.connect(ada))
    assert await sockets[0].close_code() == 4502
    await sockets[0].disconnect()
    await written()
    for socket in sockets[1:]:
        assert await socket.received_so_far() == []
    assert await in_thread(Connection.objects.count) == 20


async def test_of_sockets_that_come_all_at_once_the_first_over_the_limit_go(server, ada, settings):
    settings.REALTIME_MAX_CONNECTIONS_PER_USER = 3
    await server.session(ada)
    sockets = [await server.connect(ada) for _ in range(5)]
    for socket in sockets[:2]:
        assert await socket.close_code() == 4502
    for socket in sockets[2:]:
        assert await socket.received_so_far() == []


def deactivated(user):
    user.is_active = False
    user.save()


def deactivated_in_the_table(user):
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def deleted(user):
    user.delete()


@pytest.mark.parametrize("end", [deactivated, deactivated_in_the_table, deleted])
async def test_contacts_see_a_user_who_may_not_sign_in_any_more_go_offline(server, ada, grace, settings, end):
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 0.1
    settings.REALTIME_RECHECK_SECONDS = 0.1

    def meet():
        Message.objects.create(sender=grace, receiver=ada, content="Hello!")

    await in_thread(meet)
    watcher = await server.connect(ada)
    socket = await server.connect(grace)
    while not watcher.presence.get("grace", {}).get("is_online"):
        await watcher.next()
    await in_thread(end, grace)
    assert await socket.close_code() == 4503
    while watcher.presence["grace"]["is_online"]:
        await watcher.next()
