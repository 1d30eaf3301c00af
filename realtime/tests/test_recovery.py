import asyncio
import threading

import pytest
from django.db import OperationalError, ProgrammingError, transaction

from messaging import inboxes
from messaging.sequencing import assign_revisions
from realtime.db_threads import in_thread
from realtime.delivery import backlog
from realtime.delivery import recovery as recovery_module
from realtime.delivery.client_socket import SyncState
from realtime.outbound.envelopes import RevisionEnvelope
from realtime.tests.client import TIMEOUT, eventually, notify_titles, notify_titles_one_by_one

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(
    params=[OperationalError("the database is away"), ProgrammingError("no such column: language")],
    ids=["away", "unmigrated"],
)
def database_away(request, monkeypatch):
    """Have the reader's next reads fail, so many times."""
    monkeypatch.setattr(recovery_module, "RETRY_SECONDS", 0.02)
    failures, read = [0], recovery_module._read

    def fail(*args):
        if failures[0] > 0:
            failures[0] -= 1
            raise request.param
        return read(*args)

    monkeypatch.setattr(recovery_module, "_read", fail)
    return failures


async def test_a_socket_that_comes_while_the_database_is_away_waits_and_is_served(
    server, ada, database_away, caplog
):
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    database_away[0] = 3
    socket = await server.connect(ada, since=1)
    assert database_away == [0]
    assert socket.titles == ["Second"]
    began, ended = [line for line in caplog.messages if line.startswith("sockets ")]
    assert began.startswith("sockets wait for their catch-up; database ")
    assert ended.startswith("sockets catch up again after ")


async def test_a_database_that_goes_away_closes_no_socket_and_loses_nothing(
    server, ada, grace, database_away
):
    sockets = [await server.connect(ada), await server.connect(grace)]
    database_away[0] = 3
    for socket in sockets:
        # What it misses only the reader can bring.
        [
            socket.request_recovery()
            for socket in server.user_sockets({0: ada, 1: grace}[sockets.index(socket)]).sockets
        ]
    await in_thread(notify_titles, ada, "First", "Second")
    await in_thread(notify_titles, grace, "Third")
    while len(sockets[0].titles) < 2:
        await sockets[0].next()
    while len(sockets[1].titles) < 1:
        await sockets[1].next()
    assert (sockets[0].titles, sockets[1].titles) == (["First", "Second"], ["Third"])
    assert database_away == [0]


async def test_a_resume_asked_while_the_database_is_away_is_answered_later(server, ada, database_away):
    await in_thread(notify_titles_one_by_one, ada, "First")
    socket = await server.connect(ada)
    database_away[0] = 2
    socket.revision, socket.live = 0, False
    await socket.send_command(type="resume", since=0)
    await socket.until("synced")
    assert socket.titles == ["First"]


@pytest.mark.parametrize("where", ["_read", "_hello"])
async def test_a_user_who_cannot_be_served_delays_no_other(
    server, ada, grace, linus, monkeypatch, caplog, where
):
    read, hello = recovery_module._read, recovery_module._hello

    def fail_to_read(cursors, strangers):
        if ada.pk in cursors:
            raise ValueError("a row that makes no sense")
        return read(cursors, strangers)

    def fail_to_greet(connection, inbox, **options):
        if connection.user_id == ada.pk:
            raise ValueError("a row that makes no sense")
        return hello(connection, inbox, **options)

    monkeypatch.setattr(recovery_module, where, fail_to_read if where == "_read" else fail_to_greet)
    sockets = [await server.open(user) for user in (ada, grace, linus)]
    assert await sockets[0].close_code() == 1011
    for socket in sockets[1:]:
        await socket.until("synced")
    await in_thread(notify_titles, grace, "Hello")
    while not sockets[1].titles:
        await sockets[1].next()
    assert f"catch-up failed; the socket is closed with 1011: user {ada.pk}" in caplog.text


async def test_who_leaves_while_the_database_is_away_is_forgotten(server, ada, database_away):
    database_away[0] = 10**6
    socket = await server.open(ada)
    await eventually(lambda: database_away[0] < 10**6)
    await socket.disconnect()
    database_away[0] = 0
    assert (await (await server.open(ada)).until("synced"))[0]["type"] == "hello"
    assert socket.communicator.output_queue.empty()


async def test_a_user_who_is_gone_is_signed_out(server, ada):
    await server.session(ada)
    held = asyncio.Event()
    run = server.hub.recovery._catch_up

    async def wait(batch):
        await held.wait()
        await run(batch)

    server.hub.recovery._catch_up = wait
    socket = await server.open(ada)
    await in_thread(ada.delete)
    held.set()
    assert await socket.close_code() == 4503


async def test_frames_pushed_during_the_read_follow_it_once(server, ada, monkeypatch):
    await in_thread(notify_titles_one_by_one, ada, "First")
    socket = await server.connect(ada)
    reading, go_on = asyncio.Event(), asyncio.Event()
    read = in_thread

    async def wait(*args):
        found = await read(*args)
        reading.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(recovery_module, "in_thread", wait)
    server.client_socket(ada).request_recovery()
    await reading.wait()
    await in_thread(notify_titles_one_by_one, ada, "Second", "Third")
    await eventually(lambda: len(server.user_sockets(ada)._kept) == 2)
    go_on.set()
    await socket.until_revision(3)
    assert socket.titles == ["Second", "Third"]


async def test_many_who_come_at_once_are_read_for_together(server, ada, grace, linus, margaret, monkeypatch):
    people, reads = [ada, grace, linus, margaret], []
    read, began = recovery_module._read, asyncio.Event()

    for user in people:
        await server.session(user)
    run = server.hub.recovery._catch_up

    async def wait(batch):
        reads.append(len(batch))
        await began.wait()
        await run(batch)

    monkeypatch.setattr(recovery_module, "_read", read)
    server.hub.recovery._catch_up = wait
    first = await server.open(ada)
    await eventually(lambda: reads == [1])
    others = [await server.open(user) for user in people]
    await eventually(lambda: len(server.hub.recovery._queue) == 4)
    began.set()
    for socket in [first, *others]:
        await socket.until("synced")
    assert reads == [1, 4]


async def test_a_tab_far_behind_does_not_spoil_the_catch_up_of_another(server, ada):
    def set_up():
        notify_titles_one_by_one(ada, *map(str, range(10)))
        with transaction.atomic():
            notify_titles(ada, *map(str, range(10, 1005)))
        assign_revisions([ada.pk])

    await in_thread(set_up)
    run, waits, held = server.hub.recovery._catch_up, asyncio.Event(), asyncio.Event()

    async def wait(batch):
        waits.set()
        await held.wait()
        await run(batch)

    server.hub.recovery._catch_up = wait
    # The first keeps the reader waiting until all the others are there.
    tabs = {10: await server.open(ada, since=10)}
    await waits.wait()
    tabs |= {since: await server.open(ada, since=since) for since in (6, 0, 3, 5)}
    await eventually(lambda: len(server.hub.recovery._queue) == 4)
    held.set()
    for since in (0, 3):
        assert (await tabs[since].until("reset"))[-1]["reason"] == "too_far_behind"
    for since in (5, 6, 10):
        await tabs[since].until("synced")
        assert len(tabs[since].titles) == 1005 - since


async def test_a_slow_socket_delays_no_other(server, ada, grace):
    for user in (ada, grace):
        await in_thread(notify_titles, user, *map(str, range(300)))
        await in_thread(inboxes.state, user.pk)
    slow = await server.open(ada, since=0, send_queue_size=1)
    quick = await server.connect(grace, since=0)
    assert len(quick.titles) == 300
    assert server.client_socket(ada).is_blocked
    await slow.until_revision(1)
    while len(slow.titles) < 300:
        await slow.next()
    assert set(slow.times_added.values()) == {1}


async def test_a_slow_socket_gets_its_hello_and_its_reset_before_anything_else(server, ada, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 5)
    await in_thread(notify_titles_one_by_one, ada, "Before")
    other = await server.connect(ada)
    socket = await server.open(ada, epoch="other", since=0, send_queue_size=1)
    await eventually(lambda: len(server.user_sockets(ada).sockets) == 2)
    await eventually(lambda: any(socket.is_blocked for socket in server.user_sockets(ada).sockets))
    await in_thread(notify_titles_one_by_one, ada, *map(str, range(20)))
    # What this one has, the slow one has been handed too.
    await other.until_revision(21)
    frames = await socket.until("reset")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "reset"]
    await socket.until_revision(21)
    assert socket.titles == [str(number) for number in range(20) if number >= frames[-1]["revision"] - 1]


async def test_a_socket_whose_backlog_overflows_gets_everything_once_it_moves(server, ada, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 5)
    socket = await server.connect(ada, send_queue_size=1)
    titles = [f"Number {number}" for number in range(40)]
    await in_thread(notify_titles_one_by_one, ada, *titles)
    await eventually(lambda: server.client_socket(ada).state is SyncState.STALLED)
    await socket.until_revision(40)
    assert socket.titles == titles
    assert set(socket.times_added.values()) == {1}
    await in_thread(notify_titles_one_by_one, ada, "Live again")
    await socket.until_revision(41)


async def test_a_socket_that_takes_nothing_is_closed_with_4001_and_a_new_one_brings_it_all(
    server, ada, settings
):
    socket = await server.connect(ada, send_queue_size=1)
    # Only now: until here it is read from, and a busy machine may take its time.
    settings.REALTIME_SLOW_SECONDS = 0.1
    connection = server.client_socket(ada)
    await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")
    await eventually(lambda: connection.close_code == 4001)
    assert await socket.close_code() == 4001
    await socket.disconnect()
    again = await server.connect(ada, since=socket.revision)
    assert again.titles == ["First", "Second", "Third"]


async def test_a_push_of_long_ago_is_not_taken_for_new(server, ada):
    socket = await server.connect(ada)
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    await socket.until_revision(2)
    old = RevisionEnvelope(ada.pk, 1, 9, '{"type":"inbox"}')
    server.hub.handle(old.encode().message)
    assert await socket.received_so_far() == []


async def test_frames_that_an_overflow_drops_during_a_catch_up_are_read_again(server, ada, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 5)
    socket = await server.connect(ada, send_queue_size=1)
    own = server.client_socket(ada)
    titles = [f"Number {number}" for number in range(5)]
    await in_thread(notify_titles_one_by_one, ada, *titles)
    await eventually(lambda: own.cursor == 5 and len(own._backlog) == 3)
    loop, has_read, resume = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    read = recovery_module._read

    def read_and_wait(*arguments):
        found = read(*arguments)
        loop.call_soon_threadsafe(has_read.set)
        assert resume.wait(TIMEOUT)
        return found

    monkeypatch.setattr(recovery_module, "_read", read_and_wait)
    own.request_recovery()
    await has_read.wait()
    for _ in range(4):
        own.send_after_hello('{"type": "of no interest"}')
    assert own.state is SyncState.OUTDATED
    resume.set()
    await socket.until_revision(5)
    assert socket.titles == titles
