"""What people see and search as a user's name: by default, where they sign in by an address, and by DOORBELL_NAME."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from messaging import contacts, inboxes, names, notifications, profiles, tokens, users
from messaging.models import Message, Notification
from messaging.tests.api_client import ApiClient, refusal
from messaging.tests.presence import set_online

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "@private.example"


@pytest.fixture
def by_address(monkeypatch, ada, grace, linus):
    """They sign in by an address. Ada and Linus have the same full name; Grace's is her address, too."""
    monkeypatch.setattr(users, "signs_in_by_name", lambda: False)
    for user in (ada, grace, linus):
        user.username = f"{user.username}{SECRET}"
        user.first_name, user.last_name = ("Ada", "Lovelace") if user != grace else (user.username, "")
        user.save()
    return ada, grace, linus


def nickname(user):
    return user.first_name.upper()


class Nickname(names.Name):
    def name(self, user):
        return user.first_name

    def search(self, rows, text):
        return rows.filter(first_name__icontains=text)


class Broken(names.Name):
    def name(self, user):
        raise RuntimeError("no name today")


def test_the_default_is_the_username(ada):
    assert names.is_column()
    assert names.of(ada) == "ada"
    assert names.find(User.objects.all(), "ada", bool) == ada


def test_where_it_is_an_address_the_full_name_is_shown_or_the_id(by_address):
    ada, grace, _ = by_address
    assert names.of(ada) == "Ada Lovelace"
    # A full name that holds an address is none.
    assert names.of(grace) == f"user {grace.pk}"
    ada.first_name = ada.last_name = ""
    assert names.of(ada) == f"user {ada.pk}"


def everything_about(ada, grace, call, other):
    """Whatever leaves: answers, frames, envelopes and texts, after Ada has written to Grace and blocked Linus."""
    message = call("POST", "messages", {"receiver_id": grace.pk, "content": "Good morning"}).json()
    set_online([ada.pk, grace.pk])
    other("POST", f"messages/{message['id']}/read")
    yield message
    talk = f"messages?with_id={grace.pk}"
    for path in ("session", "profile", "users", talk, "messages", "notifications", "presence", "blocks"):
        yield call.get(path), other.get(path.replace(str(grace.pk), str(ada.pk)))
    pending = notifications.notify(grace, "announcement", "For Grace", actor=ada)
    assert pending
    yield [shown.model_dump_json() for r in notifications.assign_revisions([grace.pk]) for shown in r.added]
    yield [row.notification.model_dump_json() for row in inboxes.missed({grace.pk: 0})[grace.pk].rows]
    yield [seen.model_dump_json() for seen in contacts.presence_seen_by([ada.pk])[ada.pk]]
    yield [seen.model_dump_json() for seen in contacts.online_presence_seen_by([ada.pk])[ada.pk]]
    yield [seen.model_dump_json() for seen in profiles.presence([ada.pk, grace.pk]).values()]
    yield list(Notification.objects.values_list("title", "description"))


def test_no_address_leaves_by_any_way(by_address, as_user):
    ada, grace, linus = by_address
    call, other = as_user(ada), as_user(grace)
    assert call("POST", "blocks", {"user_id": linus.pk}).status_code == 200
    said = json.dumps(list(everything_about(ada, grace, call, other)))
    assert "Ada Lovelace" in said
    assert f"user {grace.pk}" in said
    assert SECRET not in said
    assert "New message from Ada Lovelace" in said


def test_the_control_by_the_username_the_address_leaves(by_address, as_user, settings):
    settings.DOORBELL_NAME = "messaging.names.Username"
    ada, grace, _ = by_address
    said = json.dumps(list(everything_about(ada, grace, as_user(ada), as_user(grace))))
    assert SECRET in said


def test_addresses_cant_be_found_by_search(by_address, as_user):
    ada, grace, linus = by_address
    call = as_user(ada)

    def found(text):
        return {user["id"] for user in call.get(f"users?search={text}")["items"]}

    assert found("lovelace") == {linus.pk}
    assert found("ADA%20Love") == {linus.pk}
    assert found(f"user%20{grace.pk}") == {grace.pk}
    for text in ("private", "%40", f"grace{SECRET}", "grace", "user"):
        assert found(text) == set()


def test_a_name_that_several_have_is_ambiguous_and_an_address_is_unknown(by_address, as_user):
    ada, grace, linus = by_address
    call = as_user(grace)

    def send(**receiver):
        return call("POST", "messages", {"content": "Hello"} | receiver)

    assert refusal(send(receiver="Ada Lovelace")) == (422, "ambiguous_name")
    assert refusal(call("GET", "messages?with=Ada%20Lovelace")) == (422, "ambiguous_name")
    assert refusal(call("POST", "blocks", {"username": "Ada Lovelace"})) == (422, "ambiguous_name")
    assert refusal(send(receiver=ada.username)) == (404, "unknown_user")
    assert refusal(call("GET", f"messages?with={ada.username}")) == (404, "unknown_user")
    assert refusal(call("POST", "blocks", {"username": ada.username})) == (404, "unknown_user")
    assert send(receiver_id=linus.pk).json()["receiver"] == {"id": linus.pk, "username": "Ada Lovelace"}
    linus.delete()
    assert send(receiver="Ada Lovelace").json()["receiver"]["id"] == ada.pk


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"receiver": "grace", "receiver_id": 1},
        {"receiver_id": "1"},
        {"receiver_id": True},
        {"receiver_id": 1.5},
        {"receiver_id": None},
        {"receiver_id": [1]},
        {"receiver": None},
    ],
)
def test_exactly_one_of_name_and_id_is_given(ada, as_user, body):
    assert refusal(as_user(ada)("POST", "messages", body | {"content": "Hello"})) == (422, "invalid")


@pytest.mark.parametrize("key", [0, -5, 10**6, 2**63, 10**30, "nobody", ""])
def test_an_id_that_nobody_has_is_unknown(ada, as_user, key):
    call = as_user(ada)
    assert refusal(call("POST", "messages", {"receiver_id": key, "content": "Hello"})) == (
        404,
        "unknown_user",
    )
    assert refusal(call("POST", "blocks", {"user_id": key})) == (404, "unknown_user")
    assert refusal(call("GET", f"messages?with_id={key}")) == (404, "unknown_user")


def test_a_conversation_that_is_named_twice_is_with_one_user(ada, grace, linus, as_user):
    call = as_user(ada)
    assert call("GET", f"messages?with=grace&with_id={grace.pk}").status_code == 200
    for query in (f"with=grace&with_id={linus.pk}", "with=grace&with_id=", f"with=&with_id={grace.pk}"):
        assert refusal(call("GET", f"messages?{query}")) == (404, "unknown_user")


def test_programs_publish_by_the_name_of_the_login_or_by_the_id(by_address):
    ada, grace, _ = by_address
    secret = tokens.make("shop", can_publish=True)[1]

    def publish(body):
        return ApiClient()("POST", "publish", body, Authorization=f"Bearer {secret}")

    item = {"notification_type": "announcement", "title": "Published"}
    answer = publish(
        [
            item | {"user": ada.username},
            item | {"user_id": grace.pk},
            item | {"user_id": 10**6},
            item | {"user": "Ada Lovelace"},
        ]
    ).json()
    assert answer["created"] == 2
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(2, "unknown_user"), (3, "unknown_user")]
    assert "with the id 1000000" in answer["errors"][0]["detail"]
    both = publish(item | {"user": "x", "user_id": 1})
    assert refusal(both) == (422, "invalid")


def test_commands_take_the_name_of_the_login_or_a_key(by_address):
    ada, grace, _ = by_address
    call_command("notify", ada.username, "By name")
    call_command("notify", f"id:{grace.pk}", "By key")
    assert set(Notification.objects.values_list("user", "title")) == {
        (ada.pk, "By name"),
        (grace.pk, "By key"),
    }
    call_command("create_api_token", "phone", user=f"id:{grace.pk}")
    assert grace.api_tokens.get().name == "phone"
    for nobody in ("Ada Lovelace", "id:1000000", "id:x", "id:"):
        with pytest.raises(CommandError, match="There is no"):
            call_command("notify", nobody, "?")


def test_a_projects_own_class_names_and_searches(ada, grace, as_user, settings):
    settings.DOORBELL_NAME = f"{__name__}.Nickname"
    User.objects.filter(pk=grace.pk).update(first_name="Amazing Grace")
    call = as_user(ada)
    [shown] = call.get("users?search=amazing")["items"]
    assert shown == {"id": grace.pk, "username": "Amazing Grace"}
    assert call("POST", "messages", {"receiver": "Amazing Grace", "content": "Hello"}).status_code == 201


def test_a_projects_function_names_and_searches_nothing(ada, grace, as_user, settings):
    settings.DOORBELL_NAME = f"{__name__}.nickname"
    User.objects.filter(pk=grace.pk).update(first_name="Grace")
    call = as_user(ada)
    assert [user["username"] for user in call.get("users")["items"]] == ["GRACE"]
    assert refusal(call("GET", "users?search=grace")) == (422, "not_searchable")
    assert refusal(call("POST", "messages", {"receiver": "GRACE", "content": "Hello"})) == (
        422,
        "not_searchable",
    )


def test_a_name_that_fails_is_logged_and_costs_no_notification(ada, grace, settings, caplog):
    settings.DOORBELL_NAME = f"{__name__}.Broken"
    Message.objects.create(sender=ada, receiver=grace, content="Hello")
    [revision] = notifications.assign_revisions([grace.pk])
    assert revision.added[0].title == f"New message from user {ada.pk}"
    assert revision.added[0].actor.username == f"user {ada.pk}"
    assert "DOORBELL_NAME failed for user=" in caplog.text


def test_the_names_of_a_page_are_one_query_more(by_address, django_assert_num_queries):
    ada, grace, linus = by_address
    rows = [{"id": user.pk, "name": ""} for user in (ada, grace, linus)]
    with django_assert_num_queries(1):
        names.put(rows, id="name")
    assert [row["name"] for row in rows] == ["Ada Lovelace", f"user {grace.pk}", "Ada Lovelace"]
