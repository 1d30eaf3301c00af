"""Hidden users, as their contacts' sockets see them."""

import asyncio

import pytest
from django.db.models import F
from django.db.models.functions import Now

from messaging import contacts, profiles
from messaging.models import UserProfile
from messaging.tests.presence import set_offline, set_online
from realtime.db_threads import in_thread
from realtime.outbound import receivers
from realtime.tests.client import eventually, eventually_in_database, notify_titles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def watcher(server, ada, grace):
    """Ada's socket. Grace is a contact of hers, and online."""
    await in_thread(contacts.meet, ada.pk, grace.pk)
    socket = await server.connect(ada)
    # Only who is online by then is notified.
    await eventually_in_database(lambda: profiles.presence([ada.pk], online_only=True))
    await in_thread(set_online, [grace.pk])
    while not socket.presence.get("grace", {}).get("is_online") or "grace is online" not in socket.titles:
        await socket.next()
    return socket


async def hide(user, *, is_hidden):
    await in_thread(lambda: profiles.set_hidden(user, is_hidden=is_hidden))


async def test_to_hide_and_to_be_shown_are_frames_like_going_and_coming(server, watcher, grace):
    version = watcher.presence["grace"]["version"]
    await hide(grace, is_hidden=True)
    # The sweep may say again that she is online.
    while watcher.presence["grace"]["is_online"]:
        await watcher.next()
    seen = watcher.presence["grace"]
    assert (seen["is_online"], seen["last_seen"]) == (False, None)
    assert seen["version"] > version
    await hide(grace, is_hidden=False)
    while not watcher.presence["grace"]["is_online"]:
        await watcher.next()
    assert watcher.presence["grace"]["last_seen"] is not None
    assert watcher.presence["grace"]["version"] > seen["version"]


async def test_a_contact_who_connects_later_does_not_see_a_hidden_user(server, watcher, ada, grace):
    await hide(grace, is_hidden=True)
    later = await server.connect(ada)
    assert not later.presence.get("grace", {"is_online": False})["is_online"]
    await hide(grace, is_hidden=False)
    assert (await server.connect(ada)).presence["grace"]["is_online"]


async def test_no_frame_shows_the_coming_and_going_of_a_hidden_user(server, watcher, ada, grace):
    await hide(grace, is_hidden=True)
    while watcher.presence["grace"]["is_online"]:
        await watcher.next()
    hidden = watcher.presence["grace"]
    await in_thread(set_offline, [grace.pk])
    await in_thread(set_online, [grace.pk])
    await server.hub.presence_fanout.sweep()
    await in_thread(notify_titles, ada, "After")
    while "After" not in watcher.titles:
        frame = await watcher.next()
        if frame["type"] == "presence":
            # The sweep may say again what they know.
            assert {**frame, "type": 0} == {**hidden, "type": 0}
    assert watcher.titles[-2:] == ["grace is online", "After"]


async def test_a_hidden_user_gets_the_presence_of_others(server, watcher, ada, grace):
    await hide(grace, is_hidden=True)
    socket = await server.connect(grace)
    # In the presence_state, or a moment later.
    while not socket.presence.get("ada", {}).get("is_online"):
        await socket.next()
    await in_thread(notify_titles, grace, "For you")
    while "For you" not in socket.titles:
        await socket.next()


async def meetings_seen(server, ada, grace, linus, **profile):
    """Grace, a contact of Ada's, meets Linus. Returns the presence frames of Ada and of Linus, as sets of names."""
    await in_thread(contacts.meet, ada.pk, grace.pk)
    await in_thread(lambda: UserProfile.objects.filter(user=grace).update(version=7, **profile))
    watcher, other = await server.connect(ada), await server.connect(linus)
    await eventually(lambda: server.hub.presence_fanout._horizon is not None)
    await server.hub.presence_fanout.sweep()
    for socket in (watcher, other):
        await socket.received_so_far()
    await in_thread(contacts.meet, grace.pk, linus.pk)
    await asyncio.to_thread(receivers.flush)
    await server.hub.presence_fanout.sweep()
    # Sets: hint and sweep at once may both send it.
    return [
        {frame["user"]["username"] for frame in await socket.received_so_far() if frame["type"] == "presence"}
        for socket in (watcher, other)
    ]


@pytest.mark.parametrize("is_hidden", [True, False], ids=["hidden", "not hidden"])
async def test_who_meets_somebody_is_announced_to_that_one_alone(
    server, channel, ada, grace, linus, is_hidden
):
    seen = await meetings_seen(server, ada, grace, linus, is_online=True, is_hidden=is_hidden)
    assert seen == [set(), {"grace"}]


async def test_announced_as_a_change_of_presence_all_contacts_would_hear_of_it(
    server, channel, ada, grace, linus, monkeypatch
):
    """The negative control."""

    def announce(views):
        profiles.announce_presence([view.seen for view in views])
        UserProfile.objects.filter(user=grace).update(changed_at=Now(), version=F("version") + 1)

    monkeypatch.setattr(contacts, "_announce", announce)
    watcher, _ = await meetings_seen(server, ada, grace, linus, is_online=True, is_hidden=True)
    assert watcher == {"grace"}
