"""Blocking: nothing of the blocked one reaches the blocker, and to the blocked one it looks like hiding."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from messaging import blocks, contacts, notifications, profiles
from messaging.models import Block, Contact, Message, Notification, UserProfile
from messaging.tests.api_client import refusal
from messaging.tests.presence import set_offline, set_online

pytestmark = pytest.mark.django_db(transaction=True)


def send(sender, receiver, content="Hello!"):
    return Message.objects.create(sender=sender, receiver=receiver, content=content)


def titles_of(user):
    return list(Notification.objects.filter(user=user).order_by("id").values_list("title", flat=True))


def seen_by(viewer, other):
    """What the viewer sees of a contact, or None: online, whether a last_seen is shown, version."""
    for presence in contacts.presence_seen_by([viewer.pk])[viewer.pk]:
        if presence.user.id == other.pk:
            return presence.is_online, presence.last_seen is not None, presence.version
    return None


# --- What Grace, who is blocked, sees ----------------------------------------------------------------------------


class Hiding:
    """What blocking must look like: Ada hides from all."""

    @staticmethod
    def begin(ada, grace):
        profiles.set_hidden(ada, is_hidden=True)

    @staticmethod
    def end(ada, grace):
        profiles.set_hidden(ada, is_hidden=False)


class Blocking:
    @staticmethod
    def begin(ada, grace):
        blocks.block(ada.pk, grace.pk)

    @staticmethod
    def end(ada, grace):
        blocks.unblock(ada.pk, grace.pk)


def life_beside(act, ada, grace, linus, as_user, *, met):
    """Grace's whole view of Ada, step by step, while `act` begins and ends. Ids and times are left out."""
    call, other = as_user(grace), as_user(ada)
    observed: list[Any] = []

    def look():
        users = [user["username"] for user in call.get("users")["items"]]
        talk = call.get("messages?with=ada")["items"]
        presence = [
            (item["user"]["username"], item["is_online"], item["last_seen"] is not None, item["version"])
            for item in call.get("presence")["items"]
            if item["user"]["username"] == "ada"
        ]
        inbox = call.get("notifications")
        titles = [item["title"] for item in inbox["items"] if item["actor"]]
        observed.append((users, [(m["content"], m["is_read"]) for m in talk], presence, titles))

    if met:
        send(grace, ada, "Before")
        send(ada, grace, "Before, too")
    set_online([ada.pk])
    look()
    act.begin(ada, grace)
    look()
    answer = call("POST", "messages", {"receiver": "ada", "content": "During"})
    observed.append((answer.status_code, sorted(answer.json()), answer.json()["is_read"]))
    look()
    set_offline([ada.pk])
    set_online([ada.pk])
    # Ada meets another user, reads what is hers, and is busy.
    send(ada, linus)
    other.get("notifications")
    other("POST", "notifications/read", {"all": True})
    set_offline([ada.pk])
    look()
    act.end(ada, grace)
    look()
    set_online([ada.pk])
    look()
    answer = call("POST", "messages", {"receiver": "ada", "content": "After"})
    observed.append((answer.status_code, answer.json()["is_read"]))
    look()
    return observed


def start_anew():
    for rows in (Message.objects, Contact.objects, Block.objects):
        rows.all().delete()
    Notification.everything.all().hard_delete()
    UserProfile.objects.update(is_online=False, last_seen=None, version=0)


@pytest.mark.parametrize("met", [True, False], ids=["contacts", "strangers"])
def test_to_be_blocked_looks_as_if_the_other_hides(ada, grace, linus, as_user, met):
    hidden = life_beside(Hiding, ada, grace, linus, as_user, met=met)
    start_anew()
    blocked = life_beside(Blocking, ada, grace, linus, as_user, met=met)
    assert blocked == hidden


def both_online(ada, grace):
    """Contacts who are online, without a notification of it that would be in the same ten minutes."""
    contacts.meet(grace.pk, ada.pk)
    UserProfile.objects.update(is_online=True)


@pytest.mark.parametrize("act", [Hiding, Blocking])
def test_at_the_end_an_online_contact_is_notified_once(ada, grace, linus, act):
    both_online(ada, grace)
    act.begin(ada, grace)
    assert titles_of(grace) == []
    act.end(ada, grace)
    assert titles_of(grace) == ["ada is online"]
    act.begin(ada, grace)
    act.end(ada, grace)
    assert titles_of(grace) == ["ada is online"]


def test_at_the_end_of_a_block_nobody_is_notified_of_who_hides_or_is_gone(ada, grace):
    both_online(ada, grace)
    profiles.set_hidden(ada, is_hidden=True)
    UserProfile.objects.filter(user=grace).update(is_online=False)
    blocks.block(ada.pk, grace.pk)
    blocks.unblock(ada.pk, grace.pk)
    assert not Notification.objects.exists()


def test_who_only_blocks_by_dropping_contacts_would_be_noticed(ada, grace, linus, as_user, monkeypatch):
    """The negative control: the blocker vanishes from the contacts."""
    hidden = life_beside(Hiding, ada, grace, linus, as_user, met=True)
    start_anew()
    monkeypatch.setattr(contacts, "freeze", lambda locked: Contact.objects.all().delete())
    assert life_beside(Blocking, ada, grace, linus, as_user, met=True) != hidden


def test_a_hidden_user_who_blocks_shows_nothing_at_all(ada, grace, announced):
    send(grace, ada)
    set_online([ada.pk])
    profiles.set_hidden(ada, is_hidden=True)
    before = seen_by(grace, ada)
    announced.clear()
    blocks.block(ada.pk, grace.pk)
    assert seen_by(grace, ada) == before
    assert [view for _, carried in announced for view in carried["views"]] == [(grace.pk, ada.pk)]
    profiles.set_hidden(ada, is_hidden=False)
    profiles.set_hidden(ada, is_hidden=True)
    blocks.unblock(ada.pk, grace.pk)
    assert seen_by(grace, ada) == before
    profiles.set_hidden(ada, is_hidden=False)
    assert seen_by(grace, ada) == (True, True, before[2] + 1)


def test_no_third_one_sees_anything_of_it(ada, grace, linus, announced):
    send(grace, ada)
    send(linus, ada)
    set_online([ada.pk])
    before = seen_by(linus, ada)
    announced.clear()
    blocks.block(ada.pk, grace.pk)
    send(grace, ada)
    blocks.unblock(ada.pk, grace.pk)
    assert seen_by(linus, ada) == before
    views = [view for name, carried in announced for view in carried.get("views", ())]
    assert {name for name, _ in announced} == {"views_changed"}
    assert linus.pk not in {view.viewer for view in views}


def test_the_versions_only_rise_however_often_it_changes(ada, grace):
    send(grace, ada)
    views = ((ada, grace), (grace, ada))
    steps = [
        lambda: blocks.block(ada.pk, grace.pk),
        lambda: set_online([grace.pk]),
        lambda: blocks.block(grace.pk, ada.pk),
        lambda: set_online([ada.pk]),
        lambda: blocks.unblock(ada.pk, grace.pk),
        lambda: set_offline([grace.pk]),
        lambda: blocks.unblock(grace.pk, ada.pk),
        lambda: set_offline([ada.pk]),
    ]
    for step in steps * 2:
        before = [seen_by(*view) for view in views]
        step()
        for seen, known in zip([seen_by(*view) for view in views], before, strict=True):
            assert seen[2] == known[2] + (seen != known)
    assert seen_by(ada, grace)[:2] == (False, True)


# --- Nothing of Grace reaches Ada ---------------------------------------------------------------------------------


def test_a_blocked_ones_message_is_for_its_sender_alone(ada, grace, as_user):
    old = send(grace, ada, "Before")
    blocks.block(ada.pk, grace.pk)
    message = send(grace, ada, "During")
    call = as_user(ada)
    for path in ("messages", "messages?with=grace"):
        assert [item["id"] for item in call.get(path)["items"]] == [old.pk]
    assert titles_of(ada) == ["New message from grace"]
    assert refusal(call("POST", f"messages/{message.pk}/read")) == (404, "not_found")
    assert [item["content"] for item in as_user(grace).get("messages")["items"]] == ["During", "Before"]
    blocks.unblock(ada.pk, grace.pk)
    assert [item["id"] for item in call.get("messages")["items"]] == [old.pk]
    after = send(grace, ada, "After")
    assert [item["id"] for item in call.get("messages")["items"]] == [after.pk, old.pk]
    assert len(titles_of(ada)) == 2


def test_a_withheld_message_is_never_read(ada, grace):
    blocks.block(ada.pk, grace.pk)
    message = send(grace, ada)
    assert Message.objects.mark_read() == 0
    message.is_read = True
    message.save()
    message.refresh_from_db()
    assert not message.is_read
    assert titles_of(grace) == []


def test_a_stranger_who_is_blocked_is_not_shown_by_writing(ada, grace, as_user):
    blocks.block(ada.pk, grace.pk)
    set_online([grace.pk])
    send(grace, ada)
    assert as_user(ada).get("presence")["items"] == []
    assert seen_by(grace, ada) is not None
    blocks.unblock(ada.pk, grace.pk)
    assert seen_by(ada, grace)[0]


def test_what_a_blocked_one_does_notifies_the_blocker_of_nothing(ada, grace, linus):
    message = send(ada, grace)
    send(linus, ada)
    set_online([ada.pk])
    Notification.everything.all().hard_delete()
    blocks.block(ada.pk, grace.pk)
    set_online([grace.pk])
    message.is_read = True
    message.save()
    assert notifications.notify(ada, "message_read", "Grace did it", actor=grace) is None
    assert titles_of(ada) == []
    # The installation speaks, not Grace.
    notifications.notify(ada, "announcement", "Update tonight", actor=grace)
    many = notifications.notify_many([ada, linus], "message_read", "To both", actor=grace)
    assert [row.user_id for row in many] == [linus.pk]
    assert titles_of(ada) == ["Update tonight"]


def test_the_blocker_may_write_and_is_read_as_ever(ada, grace, as_user):
    blocks.block(ada.pk, grace.pk)
    assert as_user(ada)("POST", "messages", {"receiver": "grace", "content": "Go away"}).status_code == 201
    assert titles_of(grace) == ["New message from ada"]
    assert seen_by(grace, ada) == (False, False, 1)


def test_a_block_and_a_first_message_at_once_leave_no_presence(ada, grace, threads):
    for _ in range(5):
        Contact.objects.all().delete()
        Block.objects.all().delete()
        threads.together(lambda: blocks.block(ada.pk, grace.pk), lambda: send(grace, ada))
        assert Contact.objects.get().is_frozen


def test_blocking_at_once_makes_one_block(ada, grace, threads):
    send(ada, grace)
    threads.together(*[lambda: blocks.block(ada.pk, grace.pk)] * 4)
    assert Block.objects.count() == 1
    threads.together(*[lambda: blocks.unblock(ada.pk, grace.pk)] * 4)
    assert not Contact.objects.get().is_frozen


def test_a_message_to_a_contact_costs_no_query_more_than_the_contact_did(ada, grace):
    send(grace, ada)
    with CaptureQueriesContext(connection) as captured:
        send(grace, ada)
    assert len([query for query in captured if "messaging_contact" in query["sql"]]) == 1
    assert not [query for query in captured if "messaging_block" in query["sql"]]


def test_a_block_goes_with_either_user(ada, grace, linus):
    blocks.block(ada.pk, grace.pk)
    blocks.block(linus.pk, ada.pk)
    blocks.block(grace.pk, linus.pk)
    ada.delete()
    assert [str(row) for row in Block.objects.all()] == ["linus, blocked by grace"]
    with pytest.raises(IntegrityError):
        Block.objects.create(blocker=grace, blocked=grace)


# --- The calls ----------------------------------------------------------------------------------------------------


def test_the_calls(ada, grace, as_user):
    call = as_user(ada)
    assert call.get("blocks") == {"items": [], "next": None}
    first = call("POST", "blocks", {"username": "grace"})
    assert first.status_code == 200
    entry = first.json()
    assert entry["user"] == {"id": grace.pk, "username": "grace"}
    assert call("POST", "blocks", {"username": "grace"}).json() == entry
    assert call.get("blocks")["items"] == [entry]
    assert as_user(grace).get("blocks")["items"] == []
    for _ in range(2):
        assert call("DELETE", f"blocks/{grace.pk}").status_code == 204
    assert call.get("blocks")["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "blocks", {"username": "ada"}, (422, "self_block")),
        ("POST", "blocks", {"username": "nobody"}, (404, "unknown_user")),
        ("POST", "blocks", {"username": "gone"}, (404, "unknown_user")),
        ("POST", "blocks", {"username": 1}, (422, "invalid")),
        ("POST", "blocks", {}, (422, "invalid")),
        ("POST", "blocks", {"username": "grace", "more": 1}, (422, "invalid")),
        ("DELETE", "blocks/99999999", None, (404, "unknown_user")),
        ("DELETE", f"blocks/{2**70}", None, (404, "unknown_user")),
        ("DELETE", "blocks/grace", None, (422, "invalid")),
        ("GET", "blocks?limit=0", None, (422, "invalid")),
    ],
)
def test_what_is_refused(ada, grace, as_user, method, path, body, expected):
    User.objects.create_user("gone", is_active=False)
    call = as_user(ada)
    assert refusal(call(method, path, body)) == expected
    assert not Block.objects.exists()
    call.token = ""
    if method != "GET":
        assert refusal(call(method, path, body)) == (403, "csrf_failed")


def test_a_deactivated_user_can_be_unblocked(ada, grace, as_user):
    call = as_user(ada)
    call("POST", "blocks", {"username": "grace"})
    User.objects.filter(pk=grace.pk).update(is_active=False)
    assert len(call.get("blocks")["items"]) == 1
    assert call("DELETE", f"blocks/{grace.pk}").status_code == 204
    assert refusal(call("DELETE", f"blocks/{grace.pk}")) == (404, "unknown_user")


def test_a_block_while_presence_is_read_shows_no_later_presence(ada, grace, monkeypatch):
    send(grace, ada)
    set_online([grace.pk])
    assert [seen.user.id for seen in contacts.online_presence_seen_by([ada.pk])[ada.pk]] == [grace.pk]
    read = profiles.presence

    def block_and_read(*args, **options):
        blocks.block(grace.pk, ada.pk)
        return read(*args, **options)

    monkeypatch.setattr(profiles, "presence", block_and_read)
    assert contacts.online_presence_seen_by([ada.pk]) == {ada.pk: []}
