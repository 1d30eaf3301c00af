"""DOORBELL_MAY_SEE holds on every road by which presence leaves: lists, hellos, frames, notifications, deletions."""

import asyncio

import pytest
from django.db import OperationalError

from messaging import contacts
from messaging.blocks import block, unblock
from messaging.models import Message, Notification, UserProfile
from messaging.signals import receivers_muted
from messaging.tests.api_client import ApiClient
from realtime.db_threads import in_thread
from realtime.delivery.presence_fanout import PresenceFanout
from realtime.presence.writer import presence_writer

from .client import TIMEOUT

pytestmark = pytest.mark.django_db(transaction=True)

# Pairs of names, viewer first; what the hook denies. And each set of pairs it was called with.
DENIED: set[tuple[str, str]] = set()
ASKED: list[frozenset[tuple[int, int]]] = []


def may_see(pairs):
    from django.contrib.auth.models import User

    ASKED.append(pairs)
    names = User.objects.in_bulk({pk for pair in pairs for pk in pair})
    # More than it was called with changes nothing.
    return [(a, b) for a, b in pairs if (names[a].username, names[b].username) not in DENIED] + [(0, 1)]


def broken(pairs):
    raise LookupError("no such organisation")


def no_pairs(pairs):
    return None


def away(pairs):
    raise OperationalError("the server closed the connection unexpectedly")


@pytest.fixture(autouse=True)
def hook(settings):
    DENIED.clear()
    ASKED.clear()
    settings.DOORBELL_MAY_SEE = f"{__name__}.may_see"
    return settings


def meet(user, contact):
    with receivers_muted():
        Message.objects.create(sender=contact, receiver=user, content="Hello!")
    contacts.meet(user.pk, contact.pk)


def show(user, *, is_online):
    profile = UserProfile.objects.get(user=user)
    profile.is_online = is_online
    profile.save()


def listed(user):
    api = ApiClient()
    api.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return [item["user"]["username"] for item in api.get("presence")["items"]]


def status_notifications(user):
    rows = Notification.objects.filter(user=user, notification_type__in=["user_online", "user_offline"])
    return list(rows.values_list("notification_type", "actor__username"))


async def fence(socket):
    return [frame for frame in await socket.received_so_far() if frame["type"] == "presence"]


async def test_a_contact_who_may_not_see_is_shown_nothing_on_any_road(server, ada, grace, linus):
    DENIED.add(("ada", "grace"))
    await in_thread(meet, ada, grace)
    await in_thread(meet, linus, grace)
    denied, allowed = await server.connect(ada), await server.connect(linus)
    await in_thread(show, grace, is_online=True)
    while not allowed.presence.get("grace", {}).get("is_online"):
        await allowed.next()
    assert await fence(denied) == []
    later = await server.connect(ada)
    assert "grace" not in later.presence
    assert "grace" in (await server.connect(linus)).presence
    await in_thread(show, grace, is_online=False)
    while allowed.presence["grace"]["is_online"]:
        await allowed.next()
    assert await fence(denied) == []
    assert await in_thread(listed, ada) == []
    assert await in_thread(listed, linus) == ["grace"]
    assert await in_thread(status_notifications, ada) == []
    assert ("user_online", "grace") in await in_thread(status_notifications, linus)
    # It is about one direction.
    assert await in_thread(listed, grace) == ["ada", "linus"]


async def test_who_was_shown_online_is_sent_the_end_of_it(server, ada, grace):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    socket = await server.connect(ada)
    assert socket.presence["grace"]["is_online"]
    DENIED.add(("ada", "grace"))
    await in_thread(contacts.rule_changed, [grace.pk])
    while socket.presence["grace"]["is_online"]:
        await socket.next()
    assert socket.presence["grace"]["last_seen"] is None
    # Once: what happens afterwards shows nowhere.
    for is_online in (False, True, False):
        await in_thread(show, grace, is_online=is_online)
    assert await fence(socket) == []


async def test_who_is_denied_while_a_hello_waits_is_not_in_it(server, ada, grace, monkeypatch):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    send, sent = PresenceFanout._send, asyncio.Event()

    def send_and_tell(self, presence, *arguments):
        send(self, presence, *arguments)
        if presence.user.id == grace.pk:
            sent.set()

    async def written(connection_id):
        # Her contacts have been read.
        DENIED.add(("ada", "grace"))
        await in_thread(contacts.rule_changed, [grace.pk])
        await asyncio.wait_for(sent.wait(), TIMEOUT)

    monkeypatch.setattr(PresenceFanout, "_send", send_and_tell)
    monkeypatch.setattr(presence_writer, "written", written)
    socket = await server.connect(ada)
    assert not socket.presence.get("grace", {}).get("is_online")


async def test_without_a_word_of_the_project_it_ends_when_the_user_goes(server, ada, grace):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    socket = await server.connect(ada)
    DENIED.add(("ada", "grace"))
    await in_thread(show, grace, is_online=False)
    while socket.presence["grace"]["is_online"]:
        await socket.next()
    assert socket.presence["grace"]["last_seen"] is None


async def test_who_may_see_again_does(server, ada, grace):
    DENIED.add(("ada", "grace"))
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    socket = await server.connect(ada)
    DENIED.clear()
    await in_thread(contacts.rule_changed, [grace.pk])
    while not socket.presence.get("grace", {}).get("is_online"):
        await socket.next()


async def test_a_deleted_user_is_named_to_those_who_were_shown_them_only(server, ada, grace, linus):
    DENIED.add(("linus", "grace"))
    await in_thread(meet, ada, grace)
    await in_thread(meet, linus, grace)
    await in_thread(show, grace, is_online=True)
    allowed, denied = await server.connect(ada), await server.connect(linus)
    await in_thread(grace.delete)
    while allowed.presence["grace"]["is_online"]:
        await allowed.next()
    assert await fence(denied) == []


async def test_blocking_wins(server, ada, grace):
    await in_thread(meet, ada, grace)
    await in_thread(block, grace.pk, ada.pk)
    socket = await server.connect(ada)
    await in_thread(show, grace, is_online=True)
    assert not any(frame["is_online"] for frame in await fence(socket))
    DENIED.add(("ada", "grace"))
    await in_thread(unblock, grace.pk, ada.pk)
    assert not any(frame["is_online"] for frame in await fence(socket))
    assert await in_thread(status_notifications, ada) == []


@pytest.mark.parametrize("which", ["broken", "no_pairs"])
async def test_while_the_hook_fails_no_one_is_seen_and_the_log_says_why(
    server, hook, ada, grace, caplog, which
):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    assert "grace" in (await server.connect(ada)).presence
    hook.DOORBELL_MAY_SEE = f"{__name__}.{which}"
    assert "grace" not in (await server.connect(ada)).presence
    assert await in_thread(listed, ada) == []
    assert f"DOORBELL_MAY_SEE, {__name__}.{which}, failed" in caplog.text


def test_many_are_asked_about_at_once(ada, grace, linus, margaret):
    for contact in (grace, linus, margaret):
        meet(ada, contact)
        show(contact, is_online=True)
    ASKED.clear()
    contacts.online_presence_seen_by([ada.pk, grace.pk])
    contacts.presence_seen_by([ada.pk])
    assert [len(pairs) for pairs in ASKED] == [3, 3]
    assert all(viewer == ada.pk for viewer, _ in ASKED[1])


def test_a_database_that_is_away_is_no_answer(hook, ada, grace):
    meet(ada, grace)
    hook.DOORBELL_MAY_SEE = f"{__name__}.away"
    with pytest.raises(OperationalError):
        contacts.presence_seen_by([ada.pk])
