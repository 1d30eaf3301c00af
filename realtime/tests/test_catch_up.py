"""What a socket is sent after its handshake: replays, resets, and then live frames."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from messaging import inboxes
from messaging.models import Inbox
from messaging.notifications import mark_read, mark_unread, remove
from messaging.sequencing import assign_revisions
from realtime import protocol
from realtime.db_threads import in_thread
from realtime.tests.client import handshake, notify_titles, notify_titles_one_by_one

pytestmark = pytest.mark.django_db(transaction=True)


async def test_without_since_nothing_is_replayed(server, ada):
    await in_thread(notify_titles_one_by_one, ada, "First", "Second")
    frames = await (await server.open(ada)).until("synced")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "synced"]
    assert (frames[0]["revision"], frames[0]["unread_count"], frames[0]["resumed"]) == (2, 2, False)
    assert frames[-1] == {"type": "synced", "revision": 2, "unread_count": 2}


async def test_since_replays_what_changed_after_it(server, ada):
    first, second, third = await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")
    socket = await server.open(ada, since=1)
    frames = await socket.until("synced")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "inbox", "synced"]
    hello, _, inbox, synced = frames
    assert (hello["revision"], hello["resumed"]) == (3, True)
    assert (inbox["revision"], inbox["replayed"], inbox["unread_count"]) == (3, True, 3)
    assert [row["id"] for row in inbox["added"]] == [second, third]
    assert synced == {"type": "synced", "revision": 3, "unread_count": 3}
    assert first not in socket.read_marks


async def test_a_replay_contains_each_row_once_in_its_present_state(server, ada):
    first, second, third = await in_thread(notify_titles_one_by_one, ada, "First", "Second", "Third")

    def change():
        mark_read(ada, [first])
        assign_revisions([ada.pk])
        mark_unread(ada, [first])
        mark_read(ada, [second])
        remove(ada, [third])
        return inboxes.state(ada.pk).revision

    revision = await in_thread(change)
    socket = await server.connect(ada, since=0)
    assert socket.read_marks == {first: False, second: True}
    assert socket.times_added == {first: 1, second: 1}
    assert (socket.revision, socket.unread_count) == (revision, 1)


async def test_rows_committed_without_a_revision_are_in_the_catch_up(server, ada, settings):
    settings.REALTIME_RELAY = False
    [row] = await in_thread(notify_titles, ada, "Not pushed")
    socket = await server.connect(ada, since=0)
    assert socket.read_marks == {row: False}


async def test_a_thousand_missed_rows_come_in_pages(server, ada):
    await in_thread(notify_titles, ada, *map(str, range(1000)))
    await server.connect(ada)
    socket = await server.open(ada, since=0)
    frames = await socket.until("synced")
    assert len(socket.read_marks) == 1000
    assert max(len(frame.get("added", [])) for frame in frames) <= 100
    assert set(socket.times_added.values()) == {1}


@pytest.mark.parametrize(
    ("since", "epoch", "reason"),
    [
        (0, "other", "new_epoch"),
        ("x", "other", "new_epoch"),
        (0, "", "new_epoch"),
        ("", None, "unknown_revision"),
        ("x", None, "unknown_revision"),
        (-1, None, "unknown_revision"),
        (4, None, "unknown_revision"),
        (2**63 - 1, None, "unknown_revision"),
        (2**63, None, "unknown_revision"),
        (0, None, "history_removed"),
    ],
)
async def test_a_since_that_cannot_be_served_is_answered_with_its_reset(server, ada, since, epoch, reason):
    def set_up():
        notify_titles_one_by_one(ada, "First", "Second", "Third")
        Inbox.objects.filter(user=ada).update(floor=1)

    await in_thread(set_up)
    query = f"since={since}" + (f"&epoch={epoch}" if epoch is not None else "")
    socket = server.socket(query, handshake(await server.session(ada)))
    await socket.open()
    frames = await socket.until("reset")
    assert [frame["type"] for frame in frames] == ["hello", "presence_state", "reset"]
    assert not frames[0]["resumed"]
    assert frames[-1] == {"type": "reset", "revision": 3, "unread_count": 3, "reason": reason}
    await in_thread(notify_titles, ada, "After")
    assert (await socket.next())["revision"] == 4


async def test_more_than_a_thousand_missed_rows_are_a_reset(server, ada):
    await in_thread(notify_titles, ada, *map(str, range(1001)))
    socket = await server.open(ada, since=0)
    assert (await socket.until("reset"))[-1]["reason"] == "too_far_behind"
    await in_thread(notify_titles, ada, "After")
    assert (await socket.until("inbox"))[-1]["added"][0]["title"] == "After"


async def test_the_epoch_of_hello_is_valid_for_the_next_since(server, ada):
    hello = (await (await server.open(ada)).until("synced"))[0]
    await in_thread(notify_titles, ada, "Missed")
    again = await server.connect(ada, since=hello["revision"], epoch=hello["epoch"])
    assert again.titles == ["Missed"]


async def test_each_change_has_its_own_list_in_live_frames(server, ada, settings):
    # On a busy machine the sweep may deliver first what is pushed late.
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    socket = await server.connect(ada)
    [row] = await in_thread(notify_titles, ada, "Hello")
    [added] = await socket.until_revision(1)
    assert [entry["id"] for entry in added["added"]] == [row]
    assert (added["replayed"], added["unread_count"]) == (False, 1)
    for revision, (change, name, unread) in enumerate(
        [(mark_read, "read", 0), (mark_unread, "unread", 1), (remove, "removed", 0)], 2
    ):
        await in_thread(change, ada, [row])
        [frame] = await socket.until_revision(revision)
        assert frame[name] == [row]
        assert sum(len(frame[key]) for key in ("added", "read", "unread", "removed")) == 1
        assert (frame["revision"], frame["unread_count"], frame["replayed"]) == (revision, unread, False)


async def test_every_frame_on_the_wire_is_declared_in_the_protocol(server, ada):
    adapter = TypeAdapter(protocol.ServerFrame)
    socket = await server.connect(ada, since=0)
    await in_thread(notify_titles, ada, "Hello")
    await socket.communicator.send_to(text_data="{")
    seen: dict[str, Any] = {}
    while {"inbox", "error"} - seen.keys():
        frame = await socket.next()
        seen[frame["type"]] = frame
    for frame in seen.values():
        adapter.validate_python(frame)
