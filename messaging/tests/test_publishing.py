"""POST publish: notifications from programs that aren't Django."""

import json
import re

import pytest

from messaging import tokens
from messaging.models import Notification
from messaging.tests.api_client import ApiClient, refusal
from messaging.tests.test_data import BAD

ITEM = {"user": "ada", "notification_type": "announcement", "title": "Doorbell is here"}


def is_json(data):
    """Whether it's an object that JSON carries as it is."""
    try:
        return isinstance(data, dict) and json.loads(json.dumps(data, allow_nan=False)) == data
    except (TypeError, ValueError):
        return False


@pytest.fixture
def program(db):
    """A program with the right to publish: program(body) answers what the server does."""
    token, secret = tokens.make("shop", can_publish=True)

    def publish(body=None, query="", **options):
        return ApiClient()("POST", f"publish{query}", body, Authorization=f"Bearer {secret}", **options)

    publish.token = token  # type: ignore[attr-defined]
    return publish


def test_one_item_is_published_and_gets_a_revision(program, ada, assigned):
    response = program({**ITEM, "description": "Read on", "level": "success", "url": "/news/1/"})
    assert response.status_code == 202
    assert response.json() == {"created": 1, "duplicates": 0, "errors": []}
    row = Notification.objects.get(user=ada)
    assert (row.title, row.description, row.level, row.url) == (
        "Doorbell is here",
        "Read on",
        "success",
        "/news/1/",
    )
    assert [revision.revision for revision in assigned(ada)] == [1]


def test_the_second_try_with_a_key_makes_nothing_new(program, ada):
    for created, duplicates in ((1, 0), (0, 1), (0, 1)):
        answer = program({**ITEM, "idempotency_key": "order-7"}).json()
        assert (answer["created"], answer["duplicates"]) == (created, duplicates)
    assert Notification.objects.filter(user=ada).count() == 1


def test_a_key_is_a_users_and_a_tokens_own(program, ada, grace):
    _, other = tokens.make("bank", can_publish=True)
    item = {**ITEM, "idempotency_key": "order-7"}
    assert program({"items": [item, {**item, "user": "grace"}, item]}).json()["duplicates"] == 1
    assert ApiClient()("POST", "publish", item, Authorization=f"Bearer {other}").json()["created"] == 1


def test_what_is_wrong_with_an_item_is_reported_and_the_others_go_through(program, ada):
    items = [
        ITEM,
        {**ITEM, "user": "nobody"},
        {**ITEM, "notification_type": "nonsense"},
        {**ITEM, "url": "javascript:alert(1)"},
    ]
    response = program({"items": items})
    assert response.status_code == 202
    answer = response.json()
    assert answer["created"] == 1
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (1, "unknown_user"),
        (2, "unknown_type"),
        (3, "invalid_notification"),
    ]


def test_atomic_is_all_or_nothing(program, ada):
    response = program({"items": [ITEM, {**ITEM, "user": "nobody"}], "atomic": True})
    assert response.status_code == 422
    answer = response.json()
    assert answer["code"] == "nothing_published"
    assert [error["index"] for error in answer["errors"]] == [1]
    assert not Notification.objects.exists()
    assert program({"items": [ITEM, ITEM], "atomic": True}).json()["created"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**ITEM, "colour": "red"},
        {**ITEM, "title": ""},
        {**ITEM, "title": "x" * 201},
        {**ITEM, "title": 7},
        {**ITEM, "description": "x" * 501},
        {**ITEM, "level": "fatal"},
        {**ITEM, "idempotency_key": ""},
        {"items": []},
        {"items": [ITEM] * 501},
        {"items": [ITEM], "atomic": "yes"},
        [],
        [ITEM] * 501,
        [ITEM, {**ITEM, "title": ""}],
        [[ITEM]],
        [5],
        "items",
        5,
        True,
    ],
)
def test_a_malformed_body_is_refused_whole(program, ada, body):
    assert refusal(program(body)) == (422, "invalid")
    assert not Notification.objects.exists()


def test_the_refusal_names_the_field(program):
    nameless = {"user": "ada", "notification_type": "x"}
    assert "items.0.title" in program({"items": [nameless]}).json()["detail"]
    assert program([ITEM, nameless]).json()["detail"].startswith("1.title: ")
    assert program(nameless).json()["detail"].startswith("title: ")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({**ITEM, "data": [1]}, "data"),
        ([{**ITEM, "data": [1]}], "0.data"),
        ({"items": [{**ITEM, "data": "text"}]}, "items.0.data"),
    ],
)
def test_the_refusal_of_data_names_them(program, ada, body, place):
    response = program(body)
    assert refusal(response) == (422, "invalid")
    assert response.json()["detail"].startswith(f"{place}: ")
    assert not Notification.everything.exists()


@pytest.mark.parametrize(("data", "answer"), [bad for bad in BAD if is_json(bad[0])])
def test_bad_data_are_refused_as_in_python(program, ada, data, answer):
    response = program({**ITEM, "data": data}, "?strict=true")
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["code"] == "invalid_notification"
    assert re.search(answer, error["detail"])
    assert not Notification.everything.exists()


def test_several_may_come_as_a_bare_list(program, ada, grace):
    answer = program([ITEM, {**ITEM, "user": "grace"}, {**ITEM, "user": "nobody"}])
    assert answer.status_code == 202
    assert answer.json()["created"] == 2
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(2, "unknown_user")]


def test_500_items_cost_a_constant_number_of_queries(program, ada, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        assert program({"items": [ITEM] * 500}).json()["created"] == 500


def test_publishing_needs_a_token_with_the_right(ada, as_user):
    _, secret = tokens.make("ada's own", user=ada)
    assert refusal(ApiClient()("POST", "publish", ITEM)) == (401, "not_signed_in")
    assert refusal(ApiClient()("POST", "publish", ITEM, Authorization="Bearer nonsense")) == (
        401,
        "not_signed_in",
    )
    assert refusal(as_user(ada)("POST", "publish", ITEM)) == (403, "not_allowed")
    assert refusal(ApiClient()("POST", "publish", ITEM, Authorization=f"Bearer {secret}")) == (
        403,
        "not_allowed",
    )
    assert not Notification.objects.exists()


def test_a_revoked_token_is_worth_nothing(program):
    tokens.revoke(program.token)
    assert refusal(program(ITEM)) == (401, "not_signed_in")


def test_strict_a_call_that_publishes_nothing_is_an_error(program, ada):
    wrong = {**ITEM, "user": "nobody"}
    assert program(wrong).status_code == 202
    for nothing in (wrong, [wrong, {**ITEM, "notification_type": "zzz"}]):
        answer = program(nothing, "?strict=true")
        assert answer.status_code == 422
        body = answer.json()
        assert body["code"] == "nothing_published"
        assert [error["code"] for error in body["errors"]] == ["unknown_user", "unknown_type"][
            : len(body["errors"])
        ]
    assert not Notification.objects.exists()
    # What is published, or was before, is no error; nor is it where some are.
    keyed = {**ITEM, "idempotency_key": "1"}
    assert program(keyed, "?strict=true").json()["created"] == 1
    assert program(keyed, "?strict=true").json()["duplicates"] == 1
    assert program([ITEM, wrong], "?strict=true").status_code == 202
    assert program(ITEM, "?strict=maybe").status_code == 422
    assert program(ITEM, "?stric=true").status_code == 422


@pytest.mark.parametrize("given", [[1, True], [0, False], [1, 1.0]])
def test_data_that_are_equal_in_python_alone_stay_what_they_are(program, ada, grace, given):
    items = [
        {**ITEM, "user": name, "data": {"x": x}} for name, x in zip(("ada", "grace"), given, strict=True)
    ]
    assert program({"items": items}).json()["created"] == 2
    stored = [Notification.objects.get(user=user).data for user in (ada, grace)]
    # As JSON: in Python 1 equals True.
    assert json.dumps(stored) == json.dumps([{"x": x} for x in given])
