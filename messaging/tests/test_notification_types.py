import dataclasses

import pytest

from messaging import notification_types
from messaging.checks import type_names
from messaging.exceptions import DuplicateNotificationType, UnknownNotificationType
from messaging.notification_types import NotificationType, all_types, get, register
from messaging.notifications import notify


@pytest.fixture(autouse=True)
def forget_afterwards(monkeypatch):
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))


def test_the_original_types_are_declared():
    names = {declared.name for declared in all_types()}
    assert {"new_message", "message_read", "user_online", "user_offline"} <= names
    assert {declared.name for declared in all_types() if declared.presence_like} == {
        "user_online",
        "user_offline",
    }


def test_a_type_is_declared_once_and_found_by_its_name():
    mine = register(NotificationType(name="mine", label="Mine"))
    assert get("mine") is mine
    assert all_types()[-1] is mine
    assert (mine.level, mine.icon, mine.presence_like, mine.counts) == ("info", "bell", False, True)


@pytest.mark.parametrize(
    ("properties", "is_created_read"),
    [({}, False), ({"counts": False}, True), ({"presence_like": True}, True)],
)
def test_what_does_not_count_is_created_as_read(properties, is_created_read):
    assert NotificationType(name="mine", label="Mine", **properties).is_created_read is is_created_read


def test_declaring_the_same_again_is_no_error():
    for _ in range(2):
        register(NotificationType(name="mine", label="Mine"))
    assert [declared.name for declared in all_types()].count("mine") == 1


def test_another_type_of_the_same_name_is_refused():
    with pytest.raises(DuplicateNotificationType, match="new_message"):
        register(NotificationType(name="new_message", label="Mine"))
    assert get("new_message").label == "New message"


def test_an_unknown_type_names_those_there_are():
    with pytest.raises(UnknownNotificationType, match=r"'nothing'.*announcement.*new_message"):
        get("nothing")


def test_a_type_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get("new_message").label = "Else"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "has 1 to 50 characters, not ''"),
        ({"name": "n" * 51}, "has 1 to 50 characters"),
        ({"name": None}, "has 1 to 50 characters, not None"),
        ({"name": "invoice\x00"}, r"has no NUL, .*: 'invoice\\x00'"),
        ({"level": "critical"}, "'mine' has the level 'critical'; levels are: info, success, warning, error"),
        ({"level": None}, "has the level None"),
        ({"label": None}, "'mine' needs texts for its label and icon"),
    ],
)
def test_a_type_of_which_no_notification_could_be_made_is_refused(wrong, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        register(NotificationType(**{"name": "mine", "label": "Mine", **wrong}))
    with pytest.raises(UnknownNotificationType):
        get("mine")


@pytest.mark.parametrize(
    ("name", "is_warned_of"),
    [
        *((name, False) for name in ("invoice_paid", "shop.invoice-paid", "shop:paid", "Facturé", "n" * 50)),
        *(
            (name, True)
            for name in ("invoice paid", " paid", "paid\t", "in\N{ZERO WIDTH SPACE}voice", "\x01")
        ),
    ],
)
def test_names_are_free_otherwise_and_one_that_is_easily_mistaken_is_warned_of(name, is_warned_of, ada):
    assert register(NotificationType(name=name, label="Mine")).name == name
    assert notify(ada, name, "Hello").notification_type == name
    assert [warning.id for warning in type_names()] == ["messaging.W010"] * is_warned_of


def test_what_is_no_type_is_refused_with_an_example():
    with pytest.raises(
        TypeError, match=r"takes a NotificationType, not 'mine': register\(NotificationType\(name="
    ):
        register("mine")  # type: ignore[arg-type]
    with pytest.raises(
        UnknownNotificationType, match="Give the type's name, 'announcement', not the type itself"
    ):
        get(notification_types.ANNOUNCEMENT)  # type: ignore[arg-type]
