"""Doors: calls that are off until a project opens them, and what shows nowhere while they are."""

import json

import pytest
from django.test import Client

from messaging.api import accounts, routes
from messaging.models import Block, Contact, Message
from messaging.notifications import notify
from messaging.signals import receivers_muted
from messaging.tests.api_client import ApiClient, refusal

pytestmark = pytest.mark.django_db

CALLS = {"users": ("GET", "users"), "messages": ("POST", "messages"), "session": ("POST", "session")}
SCHEMAS = {"users": {"Users"}, "messages": {"NewMessage"}, "session": {"Credentials"}}


@pytest.fixture
def closed(settings):
    for name in CALLS:
        setattr(settings, f"DOORBELL_{name.upper()}", False)
    return settings


def signed_in(user):
    """A client whose session the project has made: no call of ours begins one."""
    api = ApiClient()
    api.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    api.token = api.get("session")["csrf_token"]
    return api


def document():
    found = Client().get("/api/v1/openapi.json").json()
    calls = {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path in found["paths"]
        for method in found["paths"][path]
    }
    return calls, found["components"]["schemas"].keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_closed_call_is_as_if_it_were_not_there(closed, ada, name):
    method, path = CALLS[name]
    nowhere = ApiClient()("GET", "nowhere").json()
    for api in (ApiClient(), signed_in(ada)):
        answer = api(method, path, {"receiver": "ada"})
        assert refusal(answer) == (404, "not_found")
        assert answer.json() == nowhere
    calls, schemas = document()
    assert (method, path) not in calls
    assert not SCHEMAS[name] & schemas
    # The control: each door opens by its own setting, and no other.
    setattr(closed, f"DOORBELL_{name.upper()}", True)
    assert signed_in(ada)(method, path, {}).status_code != 404
    calls, schemas = document()
    assert (method, path) in calls
    assert SCHEMAS[name] <= schemas
    for other in CALLS.keys() - {name}:
        assert refusal(signed_in(ada)(*CALLS[other], {})) == (404, "not_found")
        assert CALLS[other] not in calls


def test_what_is_at_the_same_address_stays(closed, ada, grace):
    Message.objects.create(sender=grace, receiver=ada, content="From code of the project")
    api = signed_in(ada)
    assert len(api.get("messages")["items"]) == 1
    assert api("PUT", "messages", {})["Allow"] == "GET"
    assert set(api("PUT", "session", {})["Allow"].split(", ")) == {"GET", "DELETE"}
    # Without any method there is no address.
    assert refusal(api("PUT", "users", {})) == (404, "not_found")
    assert api("DELETE", "session").status_code == 204
    closed.DOORBELL_MESSAGES = True
    assert set(signed_in(ada)("PUT", "messages", {})["Allow"].split(", ")) == {"GET", "POST"}


def test_with_debug_the_answer_names_the_setting(closed):
    closed.DEBUG = True
    assert ApiClient()("GET", "users").json()["detail"] == (
        "This call is off. DOORBELL_USERS = True turns it on."
    )


def test_no_document_refers_to_what_it_lacks(closed):
    text = Client().get("/api/v1/openapi.json").content.decode()
    found = json.loads(text)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in found["components"]["schemas"]


# --- Whom one can find ---------------------------------------------------------------------------------------------


def test_a_stranger_can_not_be_found_by_trying_names_or_ids(closed, ada, grace):
    api = signed_in(ada)

    def answers():
        return [
            api("POST", "blocks", {"username": "grace"}).status_code,
            api("GET", "messages?with=grace").status_code,
            api("DELETE", f"blocks/{grace.pk}").status_code,
        ]

    unknown = api("POST", "blocks", {"username": "nobody"}).json()
    assert api("POST", "blocks", {"username": "grace"}).json() == unknown
    assert answers() == [404, 404, 404]
    for door in ("users", "messages"):
        setattr(closed, f"DOORBELL_{door.upper()}", True)
        assert answers() == [200, 200, 204]
        setattr(closed, f"DOORBELL_{door.upper()}", False)
        assert answers() == [404, 404, 404]


@pytest.mark.parametrize("known_by", ["contact", "message", "notification", "block"])
def test_whom_one_knows_one_can_block(closed, ada, grace, known_by):
    if known_by == "contact":
        Contact.objects.create(low=ada, high=grace)
    elif known_by == "message":
        with receivers_muted():
            Message.objects.create(sender=ada, receiver=grace, content="Hello")
    elif known_by == "notification":
        notify(ada, "announcement", "It rings", actor=grace)
    else:
        Block.objects.create(blocker=ada, blocked=grace)
    assert signed_in(ada)("POST", "blocks", {"username": "grace"}).status_code == 200


def test_oneself_is_no_stranger(closed, ada):
    assert refusal(signed_in(ada)("POST", "blocks", {"username": "ada"})) == (422, "self_block")


def leaks(api, names):
    """Call every call of the API as a customer would, with what may be guessed; return where a name shows."""
    guesses = [
        ("POST", "session", {"username": "guess", "password": "x"}),
        ("POST", "messages", {"receiver": "guess", "content": "Hello"}),
        ("POST", "blocks", {"username": "guess"}),
        ("POST", "ticket", {}),
        ("POST", "publish", {"user": "guess", "notification_type": "announcement", "title": "x"}),
        ("PATCH", "profile", {"is_hidden": False}),
        ("POST", "notifications/read", {"all": True}),
        ("POST", "notifications/unread", {"ids": [1, 2, 3]}),
        *(
            ("GET", path, None)
            for path in ("session", "profile", "users", "users?search=e", "messages", "presence")
        ),
        *(
            ("GET", path, None)
            for path in ("notifications", "blocks", "openapi.json", "asyncapi.json", "docs")
        ),
        *(("POST", f"messages/{pk}/read", {}) for pk in range(1, 5)),
        *(("DELETE", f"{what}/{pk}", None) for what in ("notifications", "blocks") for pk in range(1, 5)),
    ]
    tried = {(method, path.partition("?")[0].split("/")[0]) for method, path, _ in guesses}
    known = {(method, path.split("/")[0]) for method, path in document()[0]}
    # Ends the login, and is tried last.
    assert known - tried <= {("DELETE", "session"), ("DELETE", "sessions")}
    found = set()
    for method, path, body in [*guesses, ("DELETE", "sessions", None), ("DELETE", "session", None)]:
        answer = api(method, path, body)
        assert answer.status_code < 500, (method, path, answer.content)
        text = answer.content.decode()
        found |= {(method, path) for name in names if name in text or name in str(answer.headers)}
    return found


def test_another_customers_name_and_address_are_nowhere(closed, ada, margaret, make_customer):
    make_customer("zenobia")
    Message.objects.create(sender=margaret, receiver=ada, content="Hello")
    names = ("zenobia", "zenobia@example.org")
    assert leaks(signed_in(ada), names) == set()
    # The control: the search finds what an open door shows, and a contact.
    assert {path for _, path in leaks(signed_in(ada), ("margaret",))} >= {"messages", "presence"}
    closed.DOORBELL_USERS = True
    assert leaks(signed_in(ada), names) == {("GET", "users"), ("GET", "users?search=e")}


@pytest.fixture
def make_customer(django_user_model, cheap_passwords):
    return lambda name: django_user_model.objects.create_user(name, f"{name}@example.org", "secret-of-hers")


# --- To whom one may write -----------------------------------------------------------------------------------------


def only_longer_names(sender, users):
    # With rows twice, as a join gives them, and more than was asked.
    model = users.model
    longer = model.objects.filter(username__regex=r"^.{5,}$")
    return longer | model.objects.filter(groups__isnull=True, username="margaret")


def broken(sender, users):
    raise model_of(users).DoesNotExist("no such organisation")


def model_of(users):
    return users.model


def no_queryset(sender, users):
    return ["grace"]


def test_the_directory_lists_those_one_may_write_to_and_to_others_one_can_not(
    settings, ada, grace, linus, margaret
):
    settings.DOORBELL_MAY_WRITE = f"{__name__}.only_longer_names"
    ada.is_active = True
    api = signed_in(ada)
    assert [item["username"] for item in api.get("users")["items"]] == ["margaret", "linus", "grace"]
    settings.DOORBELL_MAY_WRITE = f"{__name__}.only_margaret"
    assert [item["username"] for item in api.get("users")["items"]] == ["margaret"]
    assert api("POST", "messages", {"receiver": "margaret", "content": "Hello"}).status_code == 201
    refused = api("POST", "messages", {"receiver": "grace", "content": "Hello"})
    assert refusal(refused) == (404, "unknown_user")
    assert refused.json() == api("POST", "messages", {"receiver": "nobody", "content": "Hello"}).json()
    assert api("POST", "blocks", {"username": "grace"}).status_code == 404
    assert refusal(api("POST", "messages", {"receiver": "ada", "content": "Hello"})) == (422, "self_message")


def only_margaret(sender, users):
    return users.filter(username="margaret")


@pytest.mark.parametrize(
    ("hook", "what"), [("broken", "it raised DoesNotExist: no such"), ("no_queryset", "it returned list")]
)
def test_a_hook_that_fails_is_named_in_the_log(settings, ada, grace, caplog, hook, what):
    settings.DOORBELL_MAY_WRITE = f"{__name__}.{hook}"
    api = signed_in(ada)
    assert refusal(api("GET", "users")) == (500, "server_error")
    assert refusal(api("POST", "messages", {"receiver": "grace", "content": "Hello"})) == (
        500,
        "server_error",
    )
    assert not Message.objects.exists()
    assert f"DOORBELL_MAY_WRITE, {__name__}.{hook}, failed: {what}" in caplog.text


def test_every_door_is_named_by_a_setting():
    doors = {
        view.door for view in [*vars(accounts).values(), *vars(routes).values()] if hasattr(view, "door")
    }
    assert doors == CALLS.keys()
