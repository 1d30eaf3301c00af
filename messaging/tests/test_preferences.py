"""`PATCH profile`: the language and the time zone of a user."""

import pytest

from messaging.models import UserProfile

pytestmark = pytest.mark.django_db
UNSET = {"is_hidden": False, "language": "", "timezone": ""}


def test_are_set_one_by_one_and_unset(ada, as_user):
    calls = as_user(ada)
    shown = {name: value for name, value in calls.get("profile").items() if name != "user"}
    assert shown == UNSET
    for change, expected in (
        ({"language": "de"}, {**UNSET, "language": "de"}),
        ({"timezone": "Europe/Berlin"}, {**UNSET, "language": "de", "timezone": "Europe/Berlin"}),
        ({"is_hidden": True}, {"is_hidden": True, "language": "de", "timezone": "Europe/Berlin"}),
        ({"language": "ja", "timezone": ""}, {"is_hidden": True, "language": "ja", "timezone": ""}),
        ({"language": "", "is_hidden": False}, UNSET),
    ):
        answer = calls("PATCH", "profile", change)
        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in UNSET} == expected
        assert {name: calls.get("profile")[name] for name in UNSET} == expected


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({}, "give is_hidden"),
        ({"language": "tlh"}, "language"),
        ({"language": "DE"}, "language"),
        ({"language": "pt_BR"}, "language"),
        ({"language": " de"}, "language"),
        ({"language": "de\0"}, "language"),
        ({"language": "x" * 10_000}, "language"),
        ({"language": ["de"]}, "language"),
        ({"language": None}, "language"),
        ({"language": 5}, "language"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "europe/berlin"}, "timezone"),
        ({"timezone": "UTC\0"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "Factory"}, "timezone"),
        ({"timezone": "x" * 10_000}, "timezone"),
        ({"timezone": ["UTC"]}, "timezone"),
        ({"language": "de", "timezone": "x"}, "timezone"),
        ({"language": "de", "colour": "red"}, "colour"),
        ({"is_hidden": None}, "is_hidden"),
    ],
)
def test_what_the_server_has_not_is_refused_and_nothing_changes(change, place, ada, as_user):
    answer = as_user(ada)("PATCH", "profile", change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert place in answer.json()["detail"]
    assert UserProfile.objects.values(*UNSET).get(user=ada) == UNSET


def test_contacts_see_nothing_of_it(ada, as_user):
    before = UserProfile.objects.values("version", "changed_at").get(user=ada)
    as_user(ada)("PATCH", "profile", {"language": "de"})
    assert UserProfile.objects.values("version", "changed_at").get(user=ada) == before
