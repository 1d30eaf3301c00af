"""Blocked users, and the frames on their sockets: those that hiding sends, and no others."""

import asyncio

import pytest

from messaging import blocks, contacts, profiles
from messaging.models import Message, UserProfile
from messaging.tests.presence import set_offline, set_online
from realtime.db_threads import in_thread
from realtime.outbound import receivers
from realtime.tests.client import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Watch:
    """The presence frames that a user's socket gets, step by step: (username, online, seen, version)."""

    def __init__(self, server, channel):
        self.server, self.channel, self.sockets = server, channel, {}

    async def open(self, *users):
        for user in users:
            self.sockets[user.username] = await self.server.connect(user)
        await eventually(lambda: self.server.hub.presence_fanout._horizon is not None)
        await self.frames()

    async def frames(self, function=None, *args):
        if function is not None:
            await in_thread(function, *args)
        await asyncio.to_thread(receivers.flush)
        if self.channel == "sweep":
            await self.server.hub.presence_fanout.sweep()
        else:
            # The hints are handled by tasks of the loop.
            await asyncio.sleep(0.3)
        return {
            name: [
                (
                    frame["user"]["username"],
                    frame["is_online"],
                    frame["last_seen"] is not None,
                    frame["version"],
                )
                for frame in await socket.received_so_far()
                if frame["type"] == "presence"
            ]
            for name, socket in self.sockets.items()
        }


def hide(ada, grace):
    profiles.set_hidden(ada, is_hidden=True)


def show(ada, grace):
    profiles.set_hidden(ada, is_hidden=False)


def block(ada, grace):
    blocks.block(ada.pk, grace.pk)


def unblock(ada, grace):
    blocks.unblock(ada.pk, grace.pk)


def come_and_go(ada):
    set_offline([ada.pk])
    set_online([ada.pk])


async def life(server, channel, ada, grace, linus, begin, end):
    """The frames of Grace and Linus, contacts of Ada's, and of Ada, at each step."""
    for other in (grace, linus):
        await in_thread(contacts.meet, ada.pk, other.pk)
    watch = Watch(server, channel)
    await watch.open(ada, grace, linus)
    profile = UserProfile.objects.filter(user=ada)
    await in_thread(lambda: profile.update(is_online=True, version=7))
    await watch.frames()
    steps = [await watch.frames(begin, ada, grace)]
    steps.append(await watch.frames(come_and_go, ada))
    steps.append(await watch.frames(lambda: Message.objects.create(sender=grace, receiver=ada, content="?")))
    steps.append(await watch.frames(end, ada, grace))
    return steps


async def test_a_blocked_ones_socket_gets_the_frames_of_hiding(server, channel, ada, grace, linus):
    steps = await life(server, channel, ada, grace, linus, block, unblock)
    assert [step["grace"] for step in steps] == [
        [("ada", False, False, 8)],
        [],
        [],
        [("ada", True, True, 9)],
    ]
    # The others see Ada come and go, and no more.
    assert [bool(step["linus"]) for step in steps] == [False, True, False, False]
    # The blocker's open pages see the blocked one go, too.
    assert [[frame[:2] for frame in step["ada"]] for step in steps] == [
        [("grace", False)],
        [],
        [],
        [("grace", True)],
    ]


async def test_and_hiding_sends_the_same(server, channel, ada, grace, linus):
    steps = await life(server, channel, ada, grace, linus, hide, show)
    assert [step["grace"] for step in steps] == [
        [("ada", False, False, 8)],
        [],
        [],
        [("ada", True, True, 9)],
    ]


async def test_without_the_freezing_the_coming_and_going_is_sent(
    server, channel, ada, grace, linus, monkeypatch
):
    """The negative control."""
    monkeypatch.setattr(contacts, "freeze", lambda locked: None)
    steps = await life(server, channel, ada, grace, linus, block, unblock)
    assert steps[1]["grace"]


async def test_who_is_blocked_is_not_shown_online_to_a_new_socket(server, ada, grace):
    await in_thread(contacts.meet, ada.pk, grace.pk)
    await in_thread(block, ada, grace)
    first = await server.connect(ada)
    second = await server.connect(grace)
    assert (first.presence, second.presence) == ({}, {})
    await in_thread(unblock, ada, grace)
    assert (await server.connect(grace)).presence["ada"]["is_online"]


async def test_a_blocked_strangers_message_shows_the_blocker_nothing(server, channel, ada, grace):
    await in_thread(block, ada, grace)
    watch = Watch(server, channel)
    await watch.open(ada, grace)
    frames = await watch.frames(lambda: Message.objects.create(sender=grace, receiver=ada, content="?"))
    assert frames["ada"] == []
    assert [frame[:3] for frame in frames["grace"]] == [("ada", False, False)]
    assert "inbox" not in {frame["type"] for frame in await watch.sockets["ada"].received_so_far()}
