"""The form that a type declares of its data, in openapi.json and asyncapi.json: what a client is generated from."""

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from django.test import Client
from django.utils.translation import gettext_lazy
from pydantic import BaseModel, ConfigDict, Field

from messaging import data, notification_types
from messaging.notification_types import NotificationType, register
from tests.test_contract import SCHEMA

META = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
DOCUMENTS = ("openapi", "asyncapi")


class Author(BaseModel):
    name: str
    avatar: str | None = None


class Comment(BaseModel):
    """What was written."""

    author: Author
    written_at: datetime
    page_id: int = Field(alias="pageId")
    tags: list[str] = []


# Another one of that name, in which one of its own name is nested.
def another_comment() -> type[BaseModel]:
    class Author(BaseModel):
        number: int

    class Comment(BaseModel):
        author: Author

    return Comment


class Card(BaseModel):
    kind: Literal["card"]
    last_digits: str


class Transfer(BaseModel):
    kind: Literal["transfer"]
    iban: str


class Payment(BaseModel):
    by: Annotated[Card | Transfer, Field(discriminator="kind")]


class Thread(BaseModel):
    title: str
    answers: list["Thread"] = []


class Unusual(BaseModel):
    """With what JSON Schema has no word for."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    anything: SimpleNamespace = SimpleNamespace()


@pytest.fixture(autouse=True)
def fresh_types(monkeypatch: pytest.MonkeyPatch) -> None:
    types = {name: one for name, one in notification_types._types.items() if one.data is None}
    monkeypatch.setattr(notification_types, "_types", types)


def declare(**models: type[BaseModel]) -> None:
    for name, model in models.items():
        register(NotificationType(name=name, label="x", title="x", data=model))


def read(name: str) -> dict[str, Any]:
    answer = Client().get(f"/api/v1/{name}.json", headers={"Host": "localhost:8000"})
    assert answer.status_code == 200
    return dict(answer.json())


def faults(name: str, document: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the document, or with a schema in it."""
    if name == "asyncapi":
        yield from map(
            str, jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(document)
        )
    schemas = document["components"]["schemas"]
    yield from set(references(schemas)) - {f"#/components/schemas/{part}" for part in schemas}
    for part, schema in schemas.items():
        if not re.fullmatch(r"[A-Za-z0-9._-]+", part):
            yield part
        if not jsonschema_rs.Draft202012Validator(META).is_valid(schema):
            yield str(schema)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)
    elif isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)


def options(document: dict[str, Any], holder: str = "Notification") -> list[str]:
    """Which schemas `data` of this schema may be, beside any object and null."""
    *named, anything, null = document["components"]["schemas"][holder]["properties"]["data"]["anyOf"]
    assert (anything["type"], null["type"]) == ("object", "null")
    return [option["$ref"].removeprefix("#/components/schemas/") for option in named]


def fits(document: dict[str, Any], name: str, given: Any) -> bool:
    components = json.loads(json.dumps(document["components"]))
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(given)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_type_with_a_model_is_in_the_document_and_without_one_nothing_is(name: str) -> None:
    before = read(name)
    assert options(before) == []
    declare(new_comment=Comment)
    document = read(name)
    assert options(document) == ["NewCommentData"]
    assert list(faults(name, document)) == []
    added = document["components"]["schemas"].keys() - before["components"]["schemas"].keys()
    assert {"NewCommentData", "NewCommentData_Author"} <= added
    shape = document["components"]["schemas"]["NewCommentData"]
    assert shape["description"] == "The `data` of notifications of the type `new_comment`. What was written."
    assert shape["required"] == ["author", "written_at", "pageId", "tags"]
    notification_types._types.pop("new_comment")
    assert read(name) == before


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_stored_is_what_the_document_says(name: str) -> None:
    declare(new_comment=Comment)
    given = {"author": {"name": "Ada"}, "written_at": datetime(2026, 1, 1, tzinfo=UTC), "pageId": 7}
    stored, _ = data.fitting(given, Comment)
    assert stored is not None
    document = read(name)
    assert fits(document, "NewCommentData", stored)
    for field in stored:
        assert not fits(document, "NewCommentData", {key: stored[key] for key in stored.keys() - {field}})
    assert not fits(document, "NewCommentData", stored | {"pageId": "seven"})
    assert not fits(document, "NewCommentData", stored | {"author": {}})


def test_what_may_be_left_out_is_another_schema_of_the_call_that_publishes() -> None:
    declare(new_comment=Comment, paid=Payment)
    document = read("openapi")
    assert options(document, "NewNotification") == ["NewCommentDataInput", "PaidData"]
    assert fits(
        document,
        "NewCommentDataInput",
        {"author": {"name": "Ada"}, "written_at": "2026-01-01T00:00:00Z", "pageId": 7},
    )
    assert not fits(document, "NewCommentDataInput", {"author": {"name": "Ada"}})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_models_and_types_of_the_same_name_are_told_apart(name: str) -> None:
    others: dict[str, type[BaseModel]] = {
        "new-comment": another_comment(),
        "Ответ": Author,
        "user": another_comment(),
    }
    declare(new_comment=Comment, reply=Comment, **others)
    document = read(name)
    assert list(faults(name, document)) == []
    assert options(document) == ["NewCommentData", "ReplyData", "NewCommentData2", "Data", "UserData"]
    schemas = document["components"]["schemas"]
    assert [schemas[f"{one}_Author"]["required"] for one in options(document)[:3]] == [
        ["name", "avatar"],
        ["name", "avatar"],
        ["number"],
    ]
    assert schemas["User"]["required"] == ["id", "username"]
    assert "`reply`" in schemas["ReplyData"]["description"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_unions_models_that_contain_themselves_and_what_has_no_schema(name: str) -> None:
    declare(paid=Payment, thread=Thread, unusual=Unusual)
    document = read(name)
    assert list(faults(name, document)) == []
    assert fits(document, "PaidData", {"by": {"kind": "card", "last_digits": "1234"}})
    assert not fits(document, "PaidData", {"by": {"kind": "card", "iban": "DE"}})
    answer = {"title": "b", "answers": []}
    assert fits(document, "ThreadData", {"title": "a", "answers": [answer]})
    assert not fits(document, "ThreadData", {"title": "a", "answers": [{"title": 5, "answers": []}]})
    assert fits(document, "UnusualData", {"anything": 5})


class Estimate(BaseModel):
    amount: float = math.nan
    currency: str = "EUR"


class Labelled(BaseModel):
    amount: int = Field(description=gettext_lazy("Log in"))  # type: ignore[call-overload]


class Unfinished(BaseModel):
    part: "NotDefinedYet"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_default_that_json_has_no_form_of_is_left_out(name: str) -> None:
    declare(estimate=Estimate)
    document = read(name)
    json.dumps(document, allow_nan=False)
    fields = document["components"]["schemas"]["EstimateData"]["properties"]
    assert fields == {"amount": {"type": "number"}, "currency": {"default": "EUR", "type": "string"}}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_model_without_a_schema_is_any_object_and_takes_no_document_down(name: str) -> None:
    declare(labelled=Labelled, unfinished=Unfinished, new_comment=Comment)
    document = read(name)
    assert list(faults(name, document)) == []
    assert options(document) == ["LabelledData", "UnfinishedData", "NewCommentData"]
    for shape in ("LabelledData", "UnfinishedData"):
        assert fits(document, shape, {"anything": 5})
        assert not fits(document, shape, 5)


def test_what_is_looked_for_is_found() -> None:
    """Negative control."""
    declare(new_comment=Comment)
    for name in DOCUMENTS:
        document = read(name)
        del document["components"]["schemas"]["NewCommentData_Author"]
        assert list(faults(name, document)) == ["#/components/schemas/NewCommentData_Author"]
        document["components"]["schemas"]["NewCommentData"]["properties"] = 5
        assert "'properties': 5" in "".join(faults(name, document))
