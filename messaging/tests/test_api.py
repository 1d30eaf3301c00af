from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import Contact, Inbox, Message, Notification, UserProfile
from messaging.notifications import mark_read, notify, notify_many, remove
from messaging.signals import receivers_muted
from messaging.tests.api_client import refusal

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert('ding')</script> & \"quotes\" \u2028 \U0001f514"


def shape(user):
    return {"id": user.pk, "username": user.username}


def send(sender, receiver, content="Hello", **more):
    return Message.objects.create(sender=sender, receiver=receiver, content=content, **more)


def ids(page):
    return [item["id"] for item in page["items"]]


def pages(api, path):
    """Read a list to its end, and return the ids of each page."""
    page = api.get(path)
    read = [ids(page)]
    while page["next"] is not None:
        page = api.get(f"{path}&before={page['next']}")
        read.append(ids(page))
    return read


class TestUsers:
    def test_are_those_one_may_write_to_the_newest_first(self, ada, grace, linus, margaret, as_user):
        User.objects.filter(pk=linus.pk).update(is_active=False)
        page = as_user(ada).get("users")
        assert page == {"items": [shape(margaret), shape(grace)], "next": None}

    def test_are_found_by_a_part_of_their_name_in_any_case(self, ada, grace, linus, margaret, as_user):
        api = as_user(ada)
        assert ids(api.get("users?search=GAR")) == [margaret.pk]
        assert ids(api.get("users?search=r")) == [margaret.pk, grace.pk]
        assert ids(api.get("users?search=ada")) == []
        assert ids(api.get("users?search=%25")) == []
        assert ids(api.get("users?search=")) == [margaret.pk, linus.pk, grace.pk]

    def test_come_in_pages(self, ada, grace, linus, margaret, as_user):
        assert pages(as_user(ada), "users?limit=2") == [[margaret.pk, linus.pk], [grace.pk]]
        assert pages(as_user(ada), "users?limit=3") == [[margaret.pk, linus.pk, grace.pk]]


class TestSendingAMessage:
    def test_answers_with_the_message(self, ada, grace, as_user):
        response = as_user(ada)("POST", "messages", {"receiver": "grace", "content": "Hello"})
        message = Message.objects.get()
        assert response.status_code == 201
        answer = response.json()
        sent = answer.pop("timestamp")
        assert answer == {
            "id": message.pk,
            "sender": shape(ada),
            "receiver": shape(grace),
            "content": "Hello",
            "is_read": False,
        }
        assert sent.endswith("Z")
        assert datetime.fromisoformat(sent) == message.timestamp
        assert timezone.now() - message.timestamp < timedelta(seconds=10)

    def test_notifies_the_receiver_alone(self, ada, grace, as_user):
        ada_calls, grace_calls = as_user(ada), as_user(grace)
        sent = ada_calls("POST", "messages", {"receiver": "grace", "content": "Hello"}).json()
        page = grace_calls.get("notifications")
        (item,) = page["items"]
        assert (page["revision"], page["unread_count"], page["next"]) == (1, 1, None)
        assert item.pop("created_at").endswith("Z")
        assert item == {
            "id": item["id"],
            "notification_type": "new_message",
            "title": "New message from ada",
            "description": "Hello",
            "level": "info",
            "is_read": False,
            "actor": shape(ada),
            "message_id": sent["id"],
            "url": None,
            "data": None,
            "group": None,
            "count": 1,
            "icon": "envelope",
        }
        assert ada_calls.get("notifications")["items"] == []

    @pytest.mark.parametrize("content", ["x", "x" * 1000, "\U0001f514" * 1000, " ", SCRIPT, "a\tb\nc\x01"])
    def test_takes_1_to_1000_characters_as_they_are(self, ada, grace, as_user, content):
        response = as_user(ada)("POST", "messages", {"receiver": "grace", "content": content})
        assert response.status_code == 201
        assert response.json()["content"] == content
        (item,) = as_user(grace).get("messages")["items"]
        assert item["content"] == content

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ({"receiver": "grace"}, "content"),
            ({"content": "Hello"}, "receiver"),
            ({"receiver": "grace", "content": ""}, "content"),
            ({"receiver": "grace", "content": "x" * 1001}, "content"),
            ({"receiver": "grace", "content": "a\0b"}, "content"),
            ({"receiver": "grace", "content": "\ud800"}, "content"),
            ({"receiver": "grace", "content": 5}, "content"),
            ({"receiver": "grace", "content": None}, "content"),
            ({"receiver": "grace", "content": ["Hello"]}, "content"),
            ({"receiver": 2, "content": "Hello"}, "receiver"),
            ({"receiver": "gra\0ce", "content": "Hello"}, "receiver"),
            ({"receiver": "grace", "content": "Hello", "is_read": True}, "is_read"),
            ({"receiver": "grace", "content": "Hello", "sender": "linus"}, "sender"),
        ],
    )
    def test_refuses_what_is_malformed_and_names_the_field(self, ada, grace, as_user, body, names):
        response = as_user(ada)("POST", "messages", body)
        assert refusal(response) == (422, "invalid")
        assert names in response.json()["detail"]
        assert not Message.objects.exists()

    def test_to_an_unknown_user_or_oneself_is_refused(self, ada, grace, as_user):
        User.objects.filter(pk=grace.pk).update(is_active=False)
        api = as_user(ada)
        for receiver in ("nobody", "", "Ada", "x" * 500, "grace"):
            response = api("POST", "messages", {"receiver": receiver, "content": "Hello"})
            assert refusal(response) == (404, "unknown_user")
        response = api("POST", "messages", {"receiver": "ada", "content": "Hello"})
        assert refusal(response) == (422, "self_message")
        assert not Message.objects.exists()


class TestMessages:
    def test_are_those_sent_and_received_the_newest_first(self, ada, grace, linus, as_user):
        first, second = send(ada, grace), send(grace, ada)
        send(grace, linus)
        third = send(linus, ada)
        assert ids(as_user(ada).get("messages")) == [third.pk, second.pk, first.pk]

    def test_with_one_user_are_that_conversation_alone(self, ada, grace, linus, as_user):
        first, second = send(ada, grace), send(grace, ada)
        send(linus, ada)
        send(grace, linus)
        api = as_user(ada)
        assert ids(api.get("messages?with=grace")) == [second.pk, first.pk]
        assert api.get("messages?with=ada") == {"items": [], "next": None}
        assert refusal(api("GET", "messages?with=nobody")) == (404, "unknown_user")

    def test_with_a_deactivated_user_can_still_be_read(self, ada, grace, as_user):
        message = send(grace, ada)
        User.objects.filter(pk=grace.pk).update(is_active=False)
        assert ids(as_user(ada).get("messages?with=grace")) == [message.pk]

    def test_who_has_no_conversation_with_a_deactivated_user_is_answered_as_for_none(
        self, ada, grace, linus, as_user
    ):
        send(grace, ada)
        User.objects.filter(pk=grace.pk).update(is_active=False)
        api = as_user(linus)
        gone, none = (api("GET", f"messages?with={name}") for name in ("grace", "nobody"))
        assert refusal(gone) == (404, "unknown_user")
        assert gone.content == none.content

    def test_come_in_pages(self, ada, grace, as_user):
        sent = [send(ada, grace).pk for _ in range(5)][::-1]
        api = as_user(grace)
        assert pages(api, "messages?limit=2") == [sent[:2], sent[2:4], sent[4:]]
        assert pages(api, "messages?with=ada&limit=5") == [sent]
        assert api.get(f"messages?before={min(sent)}") == {"items": [], "next": None}


class TestReadingAMessage:
    def test_notifies_the_sender_once_and_marks_its_notification_read(self, ada, grace, as_user):
        message = send(ada, grace)
        api = as_user(grace)
        assert api.get("notifications")["unread_count"] == 1
        for _ in range(2):
            response = api("POST", f"messages/{message.pk}/read")
            assert response.status_code == 200
            assert response.json()["is_read"] is True
            assert response.json()["sender"] == shape(ada)
        page = api.get("notifications")
        assert (page["unread_count"], page["items"][0]["is_read"]) == (0, True)
        (receipt,) = as_user(ada).get("notifications")["items"]
        assert receipt["notification_type"] == "message_read"
        assert receipt["message_id"] == message.pk
        assert receipt["actor"] == shape(grace)

    def test_is_for_its_receiver_alone(self, ada, grace, linus, as_user):
        message = send(ada, grace)
        for user in (ada, linus):
            assert refusal(as_user(user)("POST", f"messages/{message.pk}/read")) == (404, "not_found")
        assert refusal(as_user(grace)("POST", f"messages/{message.pk + 1}/read")) == (404, "not_found")
        message.refresh_from_db()
        assert not message.is_read


class TestNotifications:
    def test_an_empty_inbox_has_an_epoch_and_revision_0(self, ada, as_user):
        page = as_user(ada).get("notifications")
        epoch = Inbox.objects.get(user=ada).epoch
        assert page == {"items": [], "next": None, "epoch": epoch, "revision": 0, "unread_count": 0}

    def test_a_user_older_than_the_installation_has_an_inbox_too(self, ada, as_user):
        Inbox.objects.all().delete()
        UserProfile.objects.all().delete()
        assert as_user(ada).get("notifications")["revision"] == 0
        assert as_user(ada).get("presence") == {"items": []}

    def test_the_items_are_never_older_than_the_revision(self, ada, as_user):
        first, second = notify(ada, "announcement", "One"), notify(ada, "announcement", "Two")
        page = as_user(ada).get("notifications")
        assert ids(page) == [second.pk, first.pk]
        assert (page["revision"], page["unread_count"]) == (1, 2)
        assert not Notification.everything.filter(pending_since__isnull=False).exists()

    def test_can_be_filtered(self, ada, grace, as_user):
        send(grace, ada)
        read, unread = notify(ada, "announcement", "One"), notify(ada, "announcement", "Two")
        mark_read(ada, [read.pk])
        api = as_user(ada)
        assert len(ids(api.get("notifications"))) == 3
        assert len(ids(api.get("notifications?unread=false"))) == 3
        assert len(ids(api.get("notifications?unread=true"))) == 2
        assert ids(api.get("notifications?unread=1&notification_type=announcement")) == [unread.pk]
        assert ids(api.get("notifications?notification_type=announcement")) == [unread.pk, read.pk]
        page = api.get("notifications?notification_type=nothing")
        assert (page["items"], page["unread_count"]) == ([], 2)

    def test_come_in_pages_of_50_unless_asked_otherwise(self, ada, as_user):
        for number in range(51):
            notify(ada, "announcement", f"Number {number}")
        api = as_user(ada)
        first = api.get("notifications")
        assert len(first["items"]) == 50
        assert first["next"] == first["items"][-1]["id"]
        second = api.get(f"notifications?before={first['next']}")
        assert [item["title"] for item in second["items"]] == ["Number 0"]
        assert second["next"] is None
        assert api.get("notifications?limit=51")["next"] is None
        assert len(api.get("notifications?limit=200")["items"]) == 51

    def test_text_is_data_whatever_it_says(self, ada, as_user):
        notify(ada, "announcement", SCRIPT, SCRIPT, url="/news/?a=1&b=2", level="warning")
        response = as_user(ada)("GET", "notifications")
        assert response["Content-Type"].startswith("application/json")
        assert response["X-Content-Type-Options"] == "nosniff"
        (item,) = response.json()["items"]
        assert (item["title"], item["description"], item["level"]) == (SCRIPT, SCRIPT, "warning")
        assert (item["url"], item["actor"], item["message_id"]) == ("/news/?a=1&b=2", None, None)

    def test_removed_ones_are_gone(self, ada, as_user):
        row = notify(ada, "announcement", "One")
        remove(ada, [row.pk])
        page = as_user(ada).get("notifications")
        assert (page["items"], page["revision"], page["unread_count"]) == ([], 1, 0)


class TestMarkingNotifications:
    @pytest.fixture
    def rows(self, ada):
        return [notify(ada, "announcement", f"Number {number}").pk for number in range(3)]

    def test_read_and_unread_answer_what_changed_and_the_state_after_it(self, ada, as_user, rows):
        api = as_user(ada)
        answer = api("POST", "notifications/read", {"ids": rows[:2]}).json()
        assert (sorted(answer.pop("ids")), answer) == (rows[:2], {"revision": 1, "unread_count": 1})
        answer = api("POST", "notifications/read", {"ids": rows}).json()
        assert answer == {"ids": rows[2:], "revision": 2, "unread_count": 0}
        answer = api("POST", "notifications/read", {"ids": rows}).json()
        assert answer == {"ids": [], "revision": 2, "unread_count": 0}
        answer = api("POST", "notifications/unread", {"ids": [rows[1], rows[1]]}).json()
        assert answer == {"ids": [rows[1]], "revision": 3, "unread_count": 1}
        assert ids(api.get("notifications?unread=true")) == [rows[1]]

    def test_all_are_marked_read(self, ada, as_user, rows):
        answer = as_user(ada)("POST", "notifications/read", {"all": True}).json()
        assert sorted(answer.pop("ids")) == rows
        assert answer == {"revision": 1, "unread_count": 0}

    def test_as_many_as_there_are_can_be_marked_at_once(self, ada, as_user):
        notify_many([ada] * 2_000, "announcement", "Again")
        api = as_user(ada)
        assert api.get("notifications")["unread_count"] == 2_000
        answer = api("POST", "notifications/read", {"all": True}).json()
        assert (len(answer["ids"]), answer["unread_count"]) == (2_000, 0)

    def test_other_users_are_left_out_silently(self, ada, grace, as_user, rows):
        own = notify(grace, "announcement", "One").pk
        api = as_user(grace)
        chosen = {"ids": [*rows, own, 2**63 - 1, 2**63, 10**30, 0, -1]}
        assert api("POST", "notifications/read", chosen).json()["ids"] == [own]
        assert api("POST", "notifications/unread", chosen).json()["ids"] == [own]
        assert not Notification.objects.filter(user=ada, is_read=True).exists()

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"ids": [1], "all": True},
            {"all": False},
            {"ids": [1], "all": False},
            {"all": 1},
            {"all": "true"},
            {"all": None},
            {"ids": None},
            {"ids": 1},
            {"ids": "1"},
            {"ids": {"1": 1}},
            {"ids": ["1"]},
            {"ids": [1.5]},
            {"ids": [True]},
            {"ids": [None]},
            {"ids": list(range(1, 1002))},
            {"ids": [1], "until": 5},
        ],
    )
    def test_malformed_choices_change_nothing(self, ada, as_user, rows, body):
        api = as_user(ada)
        assert refusal(api("POST", "notifications/read", body)) == (422, "invalid")
        assert refusal(api("POST", "notifications/unread", body)) == (422, "invalid")
        assert not Notification.objects.filter(is_read=True).exists()

    def test_all_can_not_be_marked_unread(self, ada, as_user, rows):
        assert refusal(as_user(ada)("POST", "notifications/unread", {"all": True})) == (422, "invalid")

    def test_a_thousand_ids_and_none_are_fine(self, ada, as_user, rows):
        api = as_user(ada)
        for chosen in ([], list(range(10**9, 10**9 + 1000))):
            answer = api("POST", "notifications/read", {"ids": chosen}).json()
            assert answer == {"ids": [], "revision": 1, "unread_count": 3}


class TestRemovingANotification:
    def test_is_done_once_and_gets_a_revision(self, ada, as_user):
        row = notify(ada, "announcement", "One")
        api = as_user(ada)
        assert api.get("notifications")["revision"] == 1
        response = api("DELETE", f"notifications/{row.pk}")
        assert (response.status_code, response.content) == (204, b"")
        assert Inbox.objects.get(user=ada).revision == 2
        assert api.get("notifications")["items"] == []
        assert refusal(api("DELETE", f"notifications/{row.pk}")) == (404, "not_found")

    def test_another_users_is_not_found(self, ada, grace, as_user):
        row = notify(ada, "announcement", "One")
        assert refusal(as_user(grace)("DELETE", f"notifications/{row.pk}")) == (404, "not_found")
        assert Notification.objects.filter(pk=row.pk).exists()


class TestPresence:
    def test_is_that_of_contacts_by_name(self, ada, grace, linus, margaret, as_user):
        send(ada, margaret)
        send(grace, ada)
        send(grace, linus)
        moment = timezone.now()
        UserProfile.objects.filter(user=grace).update(is_online=True, last_seen=moment, version=3)
        first, second = as_user(ada).get("presence")["items"]
        assert datetime.fromisoformat(first.pop("last_seen")) == moment
        assert first == {"user": shape(grace), "is_online": True, "version": 3}
        assert second == {"user": shape(margaret), "is_online": False, "last_seen": None, "version": 0}


@pytest.mark.parametrize("path", ["users", "messages", "messages?with=grace", "notifications", "presence"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_a_few(ada, grace, as_user, path):
    def add(count):
        made = User.objects.bulk_create(User(username=f"user{User.objects.count()}{n}") for n in range(count))
        UserProfile.objects.bulk_create(UserProfile(user=user) for user in made)
        Contact.objects.bulk_create(Contact(low=ada, high=user) for user in made)
        with receivers_muted():
            for user in made:
                send(ada, grace)
                notify(ada, "announcement", "One", actor=user, message=send(user, ada))
        api.get("notifications")

    api = as_user(ada)
    add(2)
    with CaptureQueriesContext(
        connection,
    ) as few:
        api.get(path)
    add(30)
    with CaptureQueriesContext(connection) as many:
        assert len(api.get(path)["items"]) >= 30
    assert len(many) == len(few)
    assert "OFFSET" not in "".join(query["sql"] for query in many).upper()
