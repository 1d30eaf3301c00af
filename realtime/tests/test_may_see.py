"""DOORBELL_MAY_SEE holds on every road by which presence leaves: lists, hellos, frames, notifications, deletions."""

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from messaging import contacts
from messaging.blocks import block, unblock
from messaging.models import Message, Notification, UserProfile
from messaging.signals import receivers_muted
from messaging.tests.api_client import ApiClient
from realtime.db_threads import in_thread
from realtime.delivery import presence_fanout
from realtime.delivery.hub import Hub
from realtime.outbound import receivers
from realtime.presence.writer import presence_writer

from .client import eventually_in_database

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


@pytest.fixture
def grace_sent(monkeypatch, server, grace):
    """Makes a change and announces it at this moment: a hint on the channel layer could come at another."""
    monkeypatch.setattr(receivers, "_push", lambda envelopes: None)

    async def after(change, *arguments, **options):
        await in_thread(change, *arguments, **options)
        await server.hub.presence_fanout.announce([grace.pk])

    return after


@pytest.fixture
def before_the_hello(monkeypatch):
    """Has this done after the contacts online were read, while the hello waits."""

    def use(work):
        async def written(connection_id):
            await work()

        monkeypatch.setattr(presence_writer, "written", written)

    return use


async def test_who_is_denied_while_a_hello_waits_is_not_in_it(
    server, ada, grace, grace_sent, before_the_hello
):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)

    async def deny():
        DENIED.add(("ada", "grace"))
        await grace_sent(contacts.rule_changed, [grace.pk])

    before_the_hello(deny)
    socket = await server.connect(ada)
    assert "grace" not in socket.presence
    assert await fence(socket) == []


async def test_who_comes_and_is_denied_while_a_hello_waits_is_not_sent(
    server, ada, grace, grace_sent, before_the_hello
):
    await in_thread(meet, ada, grace)

    async def come():
        await grace_sent(show, grace, is_online=True)
        DENIED.add(("ada", "grace"))
        await grace_sent(contacts.rule_changed, [grace.pk])

    before_the_hello(come)
    socket = await server.connect(ada)
    assert await fence(socket) == []
    assert "grace" not in socket.presence


async def test_who_goes_while_a_hello_waits_is_then_shown_no_more(
    server, ada, grace, grace_sent, before_the_hello
):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    before_the_hello(lambda: grace_sent(show, grace, is_online=False))
    socket = await server.connect(ada)
    await fence(socket)
    assert not socket.presence["grace"]["is_online"]
    DENIED.add(("ada", "grace"))
    await grace_sent(show, grace, is_online=True)
    assert await fence(socket) == []


async def test_what_was_held_back_before_the_contacts_are_read_counts_no_more(
    server, ada, grace, grace_sent, monkeypatch
):
    await in_thread(meet, ada, grace)
    join = Hub._join

    async def late(self, user):
        # Her socket is attached, and nothing is read for it yet.
        if user.user_id == ada.pk:
            DENIED.add(("ada", "grace"))
            await grace_sent(show, grace, is_online=True)
            DENIED.clear()
        await join(self, user)

    monkeypatch.setattr(Hub, "_join", late)
    socket = await server.connect(ada)
    assert socket.presence["grace"]["is_online"]


async def test_who_connects_after_the_hook_was_asked_is_not_sent_what_it_said_of_others(
    server, ada, grace, linus, grace_sent, monkeypatch
):
    DENIED.add(("ada", "grace"))
    await in_thread(meet, ada, grace)
    await server.connect(linus)
    late: list[Any] = []

    async def then_connect(function, *arguments):
        answer = await in_thread(function, *arguments)
        if function is presence_fanout._read and list(arguments[0]) == [grace.pk] and not late:
            late.append(await server.connect(ada))
        return answer

    monkeypatch.setattr(presence_fanout, "in_thread", then_connect)
    await grace_sent(show, grace, is_online=True)
    assert await fence(late[0]) == []


@pytest.fixture
def held_up(monkeypatch):
    """Delays the end of the next read of the fan-out until the event is set."""
    released, reads = asyncio.Event(), []

    async def late(function, *arguments):
        reads.append(function)
        answer = await in_thread(function, *arguments)
        if len(reads) == 1:
            await released.wait()
        return answer

    def use():
        monkeypatch.setattr(presence_fanout, "in_thread", late)
        return released

    return use


async def test_who_comes_online_later_and_is_then_denied_is_sent_as_gone(server, ada, grace, grace_sent):
    await in_thread(meet, ada, grace)
    socket = await server.connect(ada)
    await grace_sent(show, grace, is_online=True)
    DENIED.add(("ada", "grace"))
    await grace_sent(contacts.rule_changed, [grace.pk])
    assert [frame["is_online"] for frame in await fence(socket)] == [True, False]


async def test_of_two_reads_the_one_that_began_first_is_not_sent_last(
    server, ada, grace, grace_sent, held_up
):
    await in_thread(meet, ada, grace)
    await in_thread(show, grace, is_online=True)
    socket = await server.connect(ada)
    released = held_up()
    first = asyncio.create_task(grace_sent(show, grace, is_online=False))
    await eventually_in_database(lambda: not UserProfile.objects.get(user=grace).is_online)
    await asyncio.sleep(0.1)
    await grace_sent(show, grace, is_online=True)
    released.set()
    await first
    DENIED.add(("ada", "grace"))
    await grace_sent(contacts.rule_changed, [grace.pk])
    back, gone = await fence(socket)
    assert (back["is_online"], gone["is_online"]) == (True, False)
    assert back["version"] < gone["version"]


async def test_a_read_from_before_a_denial_shows_nobody_after_it(server, ada, grace, grace_sent, held_up):
    await in_thread(meet, ada, grace)
    socket = await server.connect(ada)
    released = held_up()
    first = asyncio.create_task(grace_sent(show, grace, is_online=True))
    await eventually_in_database(lambda: UserProfile.objects.get(user=grace).is_online)
    await asyncio.sleep(0.1)
    DENIED.add(("ada", "grace"))
    await grace_sent(contacts.rule_changed, [grace.pk])
    released.set()
    await first
    assert await fence(socket) == []


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
