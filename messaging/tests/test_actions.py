"""What a notification offers to do: declared by its type, filled from its data, and nothing that runs code."""

import pytest
from django.utils import translation
from django.utils.translation import gettext_lazy

from messaging import actions, notification_types, schemas
from messaging.actions import Action, Filled
from messaging.inboxes import missed
from messaging.models import UserProfile
from messaging.notification_types import NotificationType, register
from messaging.notifications import assign_revisions, notify

PAY = Action(label="Pay", post="/orders/{order_id}/pay/")
SHOW = Action(label="Show", url="/orders/{order_id}/?from={source}")


@pytest.fixture(autouse=True)
def forget_afterwards(monkeypatch):
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))


def declared(*offered, **more):
    return register(NotificationType(name="mine", label="Mine", actions=offered, **more))


def shown(row):
    """The fields that come from the type, as a client gets them."""
    columns = {name: getattr(row, name) for name in schemas.NOTIFICATION_COLUMNS}
    shape = schemas.notification({**columns, "actor_username": None}).model_dump(mode="json")
    return {name: shape[name] for name in ("icon", "actions") if name in shape}


def test_the_wire_carries_them_filled_by_every_road(ada, as_user, assigned):
    declared(PAY, SHOW, icon="coin")
    row = notify(ada, "mine", "Order 7", data={"order_id": 7, "source": "mail & more"})
    row.refresh_from_db()
    expected = {
        "icon": "coin",
        "actions": [
            {"label": "Pay", "url": "/orders/7/pay/", "method": "POST"},
            {"label": "Show", "url": "/orders/7/?from=mail%20%26%20more", "method": "GET"},
        ],
    }
    assert shown(row) == expected
    [revision] = assigned(ada)
    frame = revision.added[0].model_dump(mode="json")
    [replayed] = missed({ada.pk: 0})[ada.pk].rows
    item = as_user(ada).get("notifications")["items"][0]
    for shape in (frame, replayed.notification.model_dump(mode="json"), item):
        assert {name: shape[name] for name in expected} == expected


@pytest.mark.django_db(transaction=True)
def test_numbered_at_once_they_are_the_same(ada, numbered, announced):
    declared(PAY)
    assign_revisions([ada.pk])
    notify(ada, "mine", "Order 7", data={"order_id": 7})
    [(_, carried)] = [event for event in announced if event[0] == "revisions_assigned"]
    [revision] = carried["revisions"]
    assert [action.url for action in revision.added[0].actions] == ["/orders/7/pay/"]


def test_types_without_any_send_neither_key(ada):
    row = notify(ada, "announcement", "Hello")
    assert shown(row) == {"icon": "megaphone"}
    declared()
    assert shown(notify(ada, "mine", "Hello")) == {}
    row.notification_type = "removed_since"
    assert shown(row) == {}


@pytest.mark.parametrize(
    ("template", "data", "address"),
    [
        ("/o/{id}/", {"id": 7}, "/o/7/"),
        ("/o/{id}/", {"id": -7}, "/o/-7/"),
        ("/o/{id}/", {"id": "a b/ç?#&%"}, "/o/a%20b%2F%C3%A7%3F%23%26%25/"),
        ("/o/{id}/", {"id": "javascript:alert(1)"}, "/o/javascript%3Aalert%281%29/"),
        ("/o/{id}/", {"id": "\ud800"}, "/o/%3F/"),
        ("/{id}", {"id": "/evil.example"}, "/%2Fevil.example"),
        ("/{id}", {"id": "\\evil.example"}, "/%5Cevil.example"),
        ("/o/{id}/{id}", {"id": 7}, "/o/7/7"),
        ("/o/", None, "/o/"),
        ("?order={id}", {"id": 7}, "?order=7"),
        ("https://shop.example/{id}", {"id": "x"}, "https://shop.example/x"),
        # Left out: what the data lack, what has no text, and what would be another address.
        ("/o/{id}/", None, None),
        ("/o/{id}/", {"ID": 7}, None),
        ("/{id}/evil.example", {"id": ""}, None),
        *(("/o/{id}/", {"id": value}, None) for value in (None, True, 1.5, [7], {"id": 7}, "", ".", "..")),
        *(
            ("/o/{id}/", {"id": value}, None)
            for value in ("../users", "a/../b", "..\\users", "a/.", "x" * 501)
        ),
    ],
)
def test_places_are_filled_with_what_stays_in_its_place(template, data, address):
    offered = actions.of((Action(label="Show", url=template),), data, "")
    assert offered == ([] if address is None else [Filled("Show", address, "GET")])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": "javascript:alert(1)"}, "isn't a path of this site"),
        ({"url": "JavaScript:alert({id})"}, "isn't a path of this site"),
        ({"url": "data:text/html,x"}, "isn't a path of this site"),
        ({"url": "{id}"}, "isn't a path of this site"),
        ({"url": "//evil.example/"}, "isn't a path of this site"),
        ({"url": "/\\evil.example/"}, "isn't a path of this site"),
        ({"url": "http:evil"}, "isn't a path of this site"),
        ({"url": "/a b"}, "isn't a path of this site"),
        ({"url": "/" + "a" * 500}, "isn't a path of this site"),
        ({"url": 7}, "isn't a path of this site"),
        ({"url": ""}, "isn't a path of this site"),
        ({"url": "https://{id}/"}, "has a place in its host"),
        ({"url": "https://a.{id}.example"}, "has a place in its host"),
        ({"url": "https://example.com:{id}/"}, "has a place in its host"),
        ({"url": "https://ada:{id}@example.com/"}, "has a place in its host"),
        ({"url": "/{order id}"}, "has a brace"),
        ({"url": "/{}"}, "has a brace"),
        ({"url": "/{0}"}, "has a brace"),
        ({"url": "/{a.b}"}, "has a brace"),
        ({"url": "/{a!r}"}, "has a brace"),
        ({"url": "/{{id}}"}, "has a brace"),
        ({"url": "/orders/%(id)s/"}, "in an address a place is written {order_id}"),
        ({"post": "https://example.com/"}, "isn't a path of this site"),
        ({"post": "?pay"}, "isn't a path of this site"),
        ({"post": "//example.com/"}, "isn't a path of this site"),
        ({}, "needs either url or post"),
        ({"url": "/a", "post": "/b"}, "needs either url or post"),
        ({"label": "", "url": "/"}, "label is a text of 1 to 40 characters"),
        ({"label": "l" * 41, "url": "/"}, "label is a text of 1 to 40 characters"),
        ({"label": None, "url": "/"}, "label is a text of 1 to 40 characters"),
        ({"label": "a\x00", "url": "/"}, "must not contain control characters"),
        ({"label": "\u202epay", "url": "/"}, "must not override the direction"),
        ({"label": " \u200b", "url": "/"}, "shows nothing"),
    ],
)
def test_an_action_that_none_should_follow_is_refused_where_it_is_declared(wrong, sentence):
    with pytest.raises(ValueError, match=f"The notification type 'mine': .*{sentence}"):
        declared(Action(**{"label": "Pay", **wrong}))


@pytest.mark.parametrize("given", [PAY, ("/pay/",), {"Pay": "/pay/"}, None])
def test_they_are_a_tuple_of_actions_and_two_at_most(given):
    with pytest.raises(TypeError, match=r"are a tuple of Action: actions=\(Action\("):
        register(NotificationType(name="mine", label="Mine", actions=given))
    with pytest.raises(ValueError, match="there are at most 2 actions, not 3"):
        declared(PAY, SHOW, PAY)


def test_a_lazy_label_is_in_the_rows_language_whatever_the_readers_is(ada):
    declared(Action(label=gettext_lazy("Yes"), post="/yes/"))
    UserProfile.objects.update_or_create(user=ada, defaults={"language": "de"})
    with translation.override("fr"):
        row = notify(ada, "mine", "Well?")
    assert row.language == "de"
    for language, label in (("de", "Ja"), ("ja", "はい"), ("", "Yes")):
        row.language = language
        with translation.override("fr"):
            assert shown(row)["actions"][0]["label"] == label
