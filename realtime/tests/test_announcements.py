"""What many users get alike leaves in one envelope; each of them gets the frame that is theirs."""

import contextlib
import json
import logging
import time
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext_lazy

from messaging import schemas
from messaging.broadcasting import broadcast
from messaging.notifications import Revision, notify_many
from messaging.tests.domain_replica import fresh_read
from realtime import protocol
from realtime.db_threads import in_thread
from realtime.outbound import announcements as module
from realtime.outbound import receivers
from realtime.outbound.announcements import MIN_USERS, USERS_PER_ENVELOPE, announcements
from realtime.outbound.receivers import revision_envelope

NOW = datetime.now(UTC)
ids = count(1)


def new(**changes):
    columns: dict[str, Any] = {
        "id": next(ids),
        "notification_type": "announcement",
        "title": 'About "id":7',
        "description": "<b>🔔</b>",
        "level": "info",
        "is_read": False,
        "created_at": NOW,
        "actor": schemas.User(id=1, username="ada"),
        "message_id": None,
        "url": "/x/",
        "data": {"revision": -1, '"id":7': ['"unread_count":-2']},
        "group": None,
        "count": 1,
        "actions": [schemas.Action(method="POST", label="Accept", url="/a/")],
    }
    return schemas.Notification(**columns | changes)


def revision(user_id, *added, number=None, **changes):
    return Revision(user_id, number or user_id + 5, user_id, added=list(added), **changes)


def frames(alone, envelopes):
    """By user, what a hub of all of them pushes."""
    everybody = range(10**6)
    pushed = [
        *map(revision_envelope, alone),
        *(one for envelope in envelopes for one in envelope.of(everybody)),
    ]
    assert len({one.user for one in pushed}) == len(pushed)
    return {one.user: (one.revision, one.unread_count, one.frame) for one in pushed}


def check(revisions):
    """Each leaves once, with the very frame that it has alone. Returns the number of those together in an envelope."""
    alone, envelopes = announcements(revisions)
    assert frames(alone, envelopes) == frames(revisions, [])
    return [len(envelope.users) for envelope in envelopes]


def test_those_with_the_same_are_together():
    assert check([revision(user, new()) for user in range(MIN_USERS)]) == [MIN_USERS]
    assert check([revision(user, new()) for user in range(250)]) == [100, 100, 50]
    assert USERS_PER_ENVELOPE == 100


def test_few_are_not():
    assert check([revision(user, new()) for user in range(MIN_USERS - 1)]) == []
    assert announcements([]) == ([], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Another"},
        {"description": "Another"},
        {"data": {"revision": True}},
        {"created_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"actor": None},
        {"is_read": True},
        {"icon": "star"},
        {"actions": []},
        {"count": 2},
    ],
)
def test_what_differs_in_anything_else_is_not(changes):
    same = [revision(user, new()) for user in range(MIN_USERS)]
    assert check([*same, revision(99, new(**changes))]) == [MIN_USERS]


@pytest.mark.parametrize("other", [{"a": True, "b": 2}, {"a": 1.0, "b": 2}, {"b": 2, "a": 1}])
def test_equal_data_of_another_text_are_not_the_same(other):
    same = [revision(user, new(data={"a": 1, "b": 2})) for user in range(MIN_USERS)]
    assert check([*same, revision(99, new(data=other))]) == [MIN_USERS]


def test_two_languages_that_come_by_turns_are_two():
    titles = ["Hello", "Hallo"]
    given = [revision(user, new(title=titles[user % 2])) for user in range(2 * MIN_USERS)]
    assert check(given) == [MIN_USERS, MIN_USERS]


def test_so_are_two_whose_actions_alone_are_translated():
    labels = ["Accept", "Annehmen"]
    given = [
        revision(user, new(actions=[schemas.Action(method="POST", label=labels[user % 2], url="/a/")]))
        for user in range(2 * MIN_USERS)
    ]
    assert check(given) == [MIN_USERS, MIN_USERS]


def test_a_revision_that_brings_more_is_alone():
    same = [revision(user, new()) for user in range(MIN_USERS)]
    others = [
        revision(90, new(), new()),
        revision(91, new(), read=[7]),
        revision(92, new(), unread=[7]),
        revision(93, new(), removed=[7]),
        revision(94, removed=[7]),
    ]
    assert check(same + others) == [MIN_USERS]


def test_several_revisions_of_a_user_leave_in_order():
    given = [revision(user, new()) for user in range(MIN_USERS)] + [revision(0, new(), number=6)]
    assert announcements(given) == (given, [])


def test_a_template_is_for_the_frame_of_any():
    one, other = new(), new()
    template = protocol.FrameTemplate.of(one)
    frame = protocol.InboxFrame(revision=8, unread_count=0, replayed=False, added=[other])
    assert template.filled(8, 0, other.id) == frame.encode()
    assert json.loads(template.filled(2**53, 3, 2**63 - 1))["added"][0]["id"] == 2**63 - 1


# --- From the writer to the socket -----------------------------------------------------------------------------


@pytest.fixture
def people(transactional_db):
    return [User.objects.create_user(f"person{number}") for number in range(MIN_USERS + 2)]


def test_one_message_leaves_for_many(published, people):
    """The metric's time and the request's id leave with it, and nothing is kept of them."""
    notify_many(people, "announcement", "Hello")
    with transaction.atomic():
        notify_many(people, "announcement", "Again")
    assert receivers.flush(20)
    assert [(group, len(message["users"])) for group, message in published.messages] == [("presence", 12)] * 2
    assert all(type(message["committed"]) is float for _, message in published.messages)
    assert not {user.pk for user in people} & receivers._committed.keys()


@pytest.mark.parametrize("late", [False, True])
def test_an_older_time_that_is_left_of_one_user_is_not_that_of_all(published, people, late):
    """Another process has numbered what this user was notified of an hour ago."""
    receivers._committed[people[3].pk] = time.time() - 3600, "another-request"
    with transaction.atomic() if late else contextlib.nullcontext():
        notify_many(people, "announcement", "Hello")
    assert receivers.flush(20)
    [(_, message)] = published.messages
    assert time.time() - message["committed"] < 600
    assert "request" not in message


def test_at_debug_each_user_has_lines_of_their_own(published, people, caplog):
    caplog.set_level(logging.DEBUG, "realtime.outbound")
    rows = notify_many(people, "announcement", "Hello")
    assert receivers.flush(20)
    assert [message["numbers"] for _, message in published.messages] == [[[1, 1, row.pk] for row in rows]]
    expected = [
        line
        for row in rows
        for line in (
            f"revision assigned: user={row.user_id} revision=1 notifications=[{row.pk}]",
            f"published: user={row.user_id} revision=1",
        )
    ]
    assert sorted(caplog.messages) == sorted(expected)


def test_each_language_has_its_own(published, people, monkeypatch):
    monkeypatch.setattr(module, "MIN_USERS", 2)
    for user in people[:3]:
        user.profile.language = "de"
        user.profile.save()
    notify_many(people, "announcement", gettext_lazy("Yes"))
    assert receivers.flush(20)
    found = {len(message["users"]): message["parts"][3] for _, message in published.messages}
    with translation.override("de"):
        assert str(gettext_lazy("Yes")) in found[3]
    assert "Yes" in found[9]


@pytest.mark.parametrize("send", [notify_many, lambda *given: [*broadcast(*given, key="k")]])
async def test_each_socket_receives_its_own(server, people, send):
    sockets = [await server.connect(user) for user in people[:3]]
    await in_thread(send, people, "announcement", "Hello")
    for user, socket in zip(people, sockets, strict=False):
        await socket.until_revision(1)
        truth = await in_thread(fresh_read, user.pk)
        assert (socket.titles, socket.unread_count, socket.read_marks) == (["Hello"], 1, truth.read_marks)
