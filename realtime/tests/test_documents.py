"""openapi.json and asyncapi.json are made once, however many requests there are."""

import pytest
from django.test import Client

from realtime.http import api, asyncapi, documents, tickets


@pytest.fixture
def made(monkeypatch):
    """How often each document has been made, from here on."""
    counts = {"openapi": 0, "asyncapi": 0}

    def counted(name, make):
        def count(*arguments, **options):
            counts[name] += 1
            return make(*arguments, **options)

        return count

    monkeypatch.setattr(api.api, "get_openapi_schema", counted("openapi", api.api.get_openapi_schema))
    monkeypatch.setattr(asyncapi, "document", counted("asyncapi", asyncapi.document))
    for answer in (api._openapi, tickets._asyncapi):
        answer._made.cache_clear()
    yield counts
    for answer in (api._openapi, tickets._asyncapi):
        answer._made.cache_clear()


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_a_document_is_made_once_and_the_same_for_all(made, name):
    answers = [Client().get(f"/api/v1/{name}.json") for _ in range(3)]
    assert made[name] == 1
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["info"]["title"] == "Doorbell"
    assert answers[0]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_a_client_that_has_it_is_answered_with_304(made, name):
    first = Client().get(f"/api/v1/{name}.json")
    again = Client().get(f"/api/v1/{name}.json", headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    changed = Client().get(f"/api/v1/{name}.json", headers={"if-none-match": '"another"'})
    assert changed.content == first.content


def test_asyncapi_names_the_host_that_was_asked(made, settings):
    settings.ALLOWED_HOSTS = ["*"]
    hosts = [f"host{number}.example" for number in range(documents.VARIANTS + 5)]
    for host in hosts:
        named = Client().get("/api/v1/asyncapi.json", headers={"host": host}).json()
        assert named["servers"]["here"] == {"host": host, "protocol": "ws"}
    secure = Client().get("/api/v1/asyncapi.json", headers={"host": hosts[0]}, secure=True).json()
    assert secure["servers"]["here"]["protocol"] == "wss"


def test_what_is_kept_is_bounded_and_the_expensive_part_is_made_once(made, settings):
    """A client may choose the host where any is allowed."""
    settings.ALLOWED_HOSTS = ["*"]
    asyncapi._components.cache_clear()
    for number in range(documents.VARIANTS * 3):
        assert Client().get("/api/v1/asyncapi.json", headers={"host": f"h{number}"}).status_code == 200
    assert tickets._asyncapi._made.cache_info().currsize == documents.VARIANTS
    assert asyncapi._components.cache_info().misses == 1


def undescribed(document):
    """What openapi.json leaves without a word: calls, parameters, and fields of bodies."""
    calls = {
        f"{method} {path}": call
        for path, calls in document["paths"].items()
        for method, call in calls.items()
    }
    for name, call in calls.items():
        if not call.get("summary", "").endswith("."):
            yield f"{name}: no sentence"
        for parameter in call.get("parameters", ()):
            if not parameter.get("description"):
                yield f"{name}: {parameter['name']}"
    bodies = [
        part
        for call in calls.values()
        for content in call.get("requestBody", {}).get("content", {}).values()
        for schema in [content["schema"]]
        for part in [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    ]
    for body in bodies:
        name = body.get("$ref", "").rpartition("/")[2]
        for field, schema in document["components"]["schemas"].get(name, {}).get("properties", {}).items():
            if not schema.get("description"):
                yield f"{name}.{field}"


def test_every_call_parameter_and_field_is_described():
    document = api.api.get_openapi_schema()
    assert list(undescribed(document)) == []
    summaries = {call["summary"] for calls in document["paths"].values() for call in calls.values()}
    assert {"Send a message.", "Remove a notification from every device."} <= summaries
    # It finds what it looks for.
    del document["paths"]["/api/v1/notifications"]["get"]["parameters"][0]["description"]
    del document["components"]["schemas"]["NewMessage"]["properties"]["content"]["description"]
    document["paths"]["/api/v1/ticket"]["post"]["summary"] = "Ticket"
    assert sorted(undescribed(document)) == [
        "NewMessage.content",
        "get /api/v1/notifications: before",
        "post /api/v1/ticket: no sentence",
    ]


def test_the_page_leads_back_to_the_site():
    description = Client().get("/api/v1/openapi.json").json()["info"]["description"]
    assert "[Back to the site](/)" in description
