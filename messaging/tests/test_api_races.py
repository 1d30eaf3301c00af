"""The API while others delete what a call has read, or hold what it changes: never a server error."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from messaging import logins, notifications, tokens
from messaging.api import accounts, errors, security
from messaging.models import ApiToken, Message, Notification
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db(transaction=True)

NOTICE = {"notification_type": "announcement", "title": "Hello"}


@pytest.fixture
def meanwhile(monkeypatch):
    """meanwhile(module, name, act): act once, when this function has been called."""

    def arrange(module, name, act):
        function = getattr(module, name)

        def called(*args, **kwargs):
            answer = function(*args, **kwargs)
            monkeypatch.setattr(module, name, function)
            act()
            return answer

        monkeypatch.setattr(module, name, called)

    return arrange


@pytest.fixture
def publish(db):
    _, secret = tokens.make("shop", can_publish=True)
    return lambda body: ApiClient()("POST", "publish", body, Authorization=f"Bearer {secret}")


# --- The caller -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "answers"),
    [
        ("GET", "profile", None, {200, 401}),
        ("PATCH", "profile", {"is_hidden": True}, {401}),
        ("PATCH", "profile", {"is_hidden": False}, {401}),
        ("GET", "users", None, {200}),
        ("POST", "messages", {"receiver": "grace", "content": "Hello"}, {401}),
        ("GET", "messages", None, {200}),
        ("POST", "messages/1/read", None, {404}),
        ("GET", "notifications", None, {401}),
        ("POST", "notifications/read", {"all": True}, {401}),
        ("POST", "notifications/unread", {"ids": [1]}, {401}),
        ("DELETE", "notifications/1", None, {404}),
        ("GET", "notifications/1/members", None, {404}),
        ("GET", "presence", None, {200}),
        ("POST", "ticket", None, {401}),
        ("DELETE", "sessions", None, {204}),
    ],
)
@pytest.mark.parametrize("by", ["session", "token"])
def test_a_caller_who_is_deleted_during_the_call_is_not_signed_in(
    ada, grace, as_user, meanwhile, method, path, body, answers, by
):
    api, headers = as_user(ada), {}
    if by == "token":
        api, headers = ApiClient(), {"Authorization": f"Bearer {tokens.make('own', user=ada)[1]}"}
    meanwhile(security, "within_rate", User.objects.get(username="ada").delete)
    response = api(method, path, body, **headers)
    assert response.status_code in answers, response.content
    assert not User.objects.filter(username="ada").exists()


def test_an_account_that_is_deleted_while_its_password_is_checked_is_not_signed_in(ada, meanwhile):
    api = ApiClient()
    meanwhile(accounts, "authenticate", User.objects.get(username="ada").delete)
    assert refusal(api.sign_in("ada")) == (401, "bad_credentials")
    assert api.get("session")["user"] is None


# --- Others -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def grace_goes(monkeypatch):
    """Grace is deleted just before a message is saved."""
    save = Message.save

    def late(message, **options):
        User.objects.filter(username="grace").delete()
        save(message, **options)

    return lambda: monkeypatch.setattr(Message, "save", late)


def test_a_receiver_who_is_deleted_during_the_call_is_unknown(ada, grace, as_user, grace_goes):
    api = as_user(ada)
    grace_goes()
    assert refusal(api("POST", "messages", {"receiver": "grace", "content": "Hello"})) == (
        404,
        "unknown_user",
    )
    assert not Message.objects.exists()
    assert not Notification.objects.exists()


def test_a_message_that_is_deleted_while_it_is_read_is_not_found(ada, grace, as_user, grace_goes):
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello")
    api = as_user(ada)
    grace_goes()
    assert refusal(api("POST", f"messages/{message.pk}/read")) == (404, "not_found")


def test_a_token_that_is_deleted_while_it_is_revoked_is_worth_nothing(ada):
    token, _ = tokens.make("own", user=ada)
    ApiToken.objects.all().delete()
    tokens.revoke(token)


# --- Publishing -------------------------------------------------------------------------------------------------------


def test_an_item_for_a_user_who_is_deleted_during_the_call_is_reported_and_the_others_go_through(
    ada, grace, linus, publish, meanwhile
):
    meanwhile(logins, "ids_by_name", User.objects.get(username="grace").delete)
    items = [{**NOTICE, "user": name, "idempotency_key": "k"} for name in ("ada", "grace", "nobody", "linus")]
    response = publish({"items": items})
    assert response.status_code == 202
    answer = response.json()
    assert (answer["created"], answer["duplicates"]) == (2, 0)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (1, "unknown_user"),
        (2, "unknown_user"),
    ]
    assert set(Notification.objects.values_list("user_id", flat=True)) == {ada.pk, linus.pk}


def test_with_atomic_such_an_item_undoes_them_all(ada, grace, publish, meanwhile):
    meanwhile(logins, "ids_by_name", User.objects.get(username="grace").delete)
    response = publish({"items": [{**NOTICE, "user": "ada"}, {**NOTICE, "user": "grace"}], "atomic": True})
    assert response.status_code == 422
    assert response.json()["code"] == "nothing_published"
    assert [(error["index"], error["code"]) for error in response.json()["errors"]] == [(1, "unknown_user")]
    assert not Notification.objects.exists()


def test_one_users_items_keep_their_order(ada, grace, publish):
    names = ["grace", "ada", "grace", "ada"]
    keys = "dcba"
    items = [
        {**NOTICE, "user": name, "title": key, "idempotency_key": key}
        for name, key in zip(names, keys, strict=True)
    ]
    publish(items)
    assert list(Notification.objects.filter(user=grace).values_list("title", flat=True)) == ["b", "d"]
    assert list(Notification.objects.filter(user=ada).values_list("title", flat=True)) == ["a", "c"]


# --- Conflicts --------------------------------------------------------------------------------------------------------


class DriversError(Exception):
    def __init__(self, **codes):
        self.__dict__.update(codes)


CONFLICTS = [
    {"sqlstate": "40P01"},
    {"sqlstate": "40001"},
    {"sqlstate": "55P03"},
    {"sqlstate": "57014"},
    {"sqlite_errorcode": 5},
    {"sqlite_errorcode": 6},
    {"sqlite_errorcode": 517},
]


@pytest.mark.parametrize("codes", CONFLICTS, ids=str)
def test_a_conflict_is_retried(ada, as_user, monkeypatch, codes):
    notifications.notify(ada, "announcement", "Hello")
    api, attempts, change = as_user(ada), [], notifications._change_chosen

    def unlucky(*args):
        attempts.append(1)
        if len(attempts) < 3:
            raise OperationalError("in the way") from DriversError(**codes)
        return change(*args)

    monkeypatch.setattr(notifications, "_change_chosen", unlucky)
    response = api("POST", "notifications/read", {"all": True})
    assert response.status_code == 200
    assert len(response.json()["ids"]) == 1
    assert response.json()["unread_count"] == 0


@pytest.mark.parametrize("codes", CONFLICTS, ids=str)
def test_a_conflict_that_persists_is_busy_and_not_unavailable(ada, as_user, monkeypatch, caplog, codes):
    def unlucky(*args):
        raise OperationalError("in the way") from DriversError(**codes)

    notifications.notify(ada, "announcement", "Hello")
    api = as_user(ada)
    monkeypatch.setattr(notifications, "_change_chosen", unlucky)
    response = api("POST", "notifications/read", {"all": True})
    assert refusal(response) == (503, "busy")
    assert response["Retry-After"] == "1"
    (record,) = [record for record in caplog.records if record.name == errors.logger.name]
    assert record.levelname == "WARNING"
    assert "transaction conflict" in record.getMessage()
    assert "unavailable" not in record.getMessage()


@pytest.mark.parametrize(
    "codes",
    [{}, {"sqlstate": None}, {"sqlstate": "57P01"}, {"sqlstate": "53300"}, {"sqlite_errorcode": 14}],
    ids=str,
)
def test_an_absence_is_one(ada, as_user, monkeypatch, codes):
    def fail(*args):
        raise OperationalError("the database is away") from DriversError(**codes)

    notifications.notify(ada, "announcement", "Hello")
    api = as_user(ada)
    monkeypatch.setattr(notifications, "_change_chosen", fail)
    assert refusal(api("POST", "notifications/read", {"all": True})) == (503, "unavailable")
