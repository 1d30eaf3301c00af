"""What is generated from the server's models: the AsyncAPI document, and the client's types, which are checked in."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client

from messaging import schemas
from realtime import protocol
from realtime.http import asyncapi
from realtime.protocol import CloseCode
from tools import contract

# AsyncAPI's own, from @asyncapi/specs 6.11.1: schemas/3.0.0-without-$id.json, as it is there.
SCHEMA = Path(__file__).parent / "asyncapi" / "3.0.0.json"
ADA = schemas.User(id=1, username="ada")
ROW = schemas.Notification(
    id=7,
    notification_type="announcement",
    title="Doorbell is here",
    description="",
    level="info",
    is_read=False,
    created_at=protocol.now(),
    actor=None,
    message_id=None,
    data=None,
    group=None,
    count=1,
    url=None,
)
FRAMES: list[protocol.Frame] = [
    protocol.HelloFrame(
        connection_id="c",
        user=ADA,
        epoch="e",
        revision=1,
        unread_count=1,
        resumed=False,
        heartbeat_seconds=25,
        server_time=protocol.now(),
    ),
    protocol.PresenceStateFrame(
        online=[schemas.Presence(user=ADA, is_online=True, last_seen=protocol.now(), version=1)]
    ),
    protocol.InboxFrame(revision=1, unread_count=1, replayed=False, added=[ROW], read=[1], removed=[2]),
    protocol.SyncedFrame(revision=1, unread_count=1),
    protocol.ResetFrame(revision=1, unread_count=1, reason="new_epoch"),
    protocol.PresenceFrame(user=ADA, is_online=False, last_seen=None, version=2),
    protocol.HeartbeatFrame(revision=1, unread_count=1, server_time=protocol.now()),
    protocol.PongFrame(ref="a"),
    protocol.ErrorFrame(code="bad_json", detail="This is not JSON."),
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = Client().get("/api/v1/asyncapi.json", headers={"Host": "localhost:8000"})
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.fixture(scope="module")
def asyncapi_3() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text()))


def test_the_document_is_asyncapi_3(document, asyncapi_3):
    assert document["asyncapi"] == "3.0.0"
    assert [str(error) for error in asyncapi_3.iter_errors(document)] == []


@pytest.mark.parametrize(
    "path", [("channels", "notifications", "address"), ("operations", "tell", "action"), ("info", "title")]
)
def test_that_schema_finds_what_is_wrong(document, asyncapi_3, path):
    broken = json.loads(json.dumps(document))
    *way, last = path
    place = broken
    for step in way:
        place = place[step]
    place[last] = 5
    assert not asyncapi_3.is_valid(broken)


def test_the_document_names_every_frame_command_and_close_code(document):
    described = document["channels"]["notifications"]["messages"].keys()
    assert described == {asyncapi.name_of(type(frame)) for frame in FRAMES} | protocol.COMMANDS.keys()
    assert [code["code"] for code in document["x-close-codes"]] == [int(code) for code in CloseCode]
    stops = {code["code"] for code in document["x-close-codes"] if code["client"] == "stops"}
    assert stops == {4500, 4501, 4502, 4503}
    assert document["servers"]["here"] == {"host": "localhost:8000", "protocol": "ws"}


def payload(document: dict[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    reference = document["components"]["messages"][name]["payload"]["$ref"]
    return jsonschema_rs.Draft202012Validator(
        {"$ref": reference, "components": document["components"]}, validate_formats=True
    )


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_what_is_sent_is_what_the_document_says(document, frame):
    sent = json.loads(frame.encode())
    described = payload(document, sent["type"])
    assert [str(error) for error in described.iter_errors(sent)] == []
    assert described.is_valid({**sent, "new": "A frame may grow."})
    for field in sent.keys() - {"added", "read", "unread", "removed"}:
        assert not described.is_valid({name: value for name, value in sent.items() if name != field})


@pytest.mark.parametrize(
    ("command", "is_valid"),
    [
        ({"type": "resume", "since": 5}, True),
        ({"type": "resume", "since": 5, "epoch": "e"}, True),
        ({"type": "resume"}, False),
        ({"type": "resume", "since": -1}, False),
        ({"type": "ping", "ref": "a" * 64}, True),
        ({"type": "ping", "ref": "a" * 65}, False),
        ({"type": "ping", "ref": "a", "more": 1}, False),
    ],
)
def test_commands_are_described_as_the_server_validates_them(document, command, is_valid):
    assert payload(document, command["type"]).is_valid(command) is is_valid


def test_another_method_and_a_query_are_refused_as_everywhere():
    assert Client().post("/api/v1/asyncapi.json").json()["code"] == "method_not_allowed"
    assert Client().get("/api/v1/asyncapi.json?x=1").json()["code"] == "invalid"


def test_the_clients_types_are_current():
    assert contract.PATH.read_text() == contract.types(), "run `make contract`"


def test_outdated_types_are_found_and_written_again(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(contract, "PATH", tmp_path / "wire.d.ts")
    assert contract.main(["--check"]) == 1
    assert "make contract" in capsys.readouterr().err
    assert contract.main([]) == 0
    assert contract.main(["--check"]) == 0
    contract.PATH.write_text(contract.types().replace("is_read: boolean", "is_read: number"))
    assert contract.main(["--check"]) == 1


@pytest.mark.parametrize(
    ("schema", "expression"),
    [
        ({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, "(number | null)[]"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/User"}}, "User[]"),
        ({"const": True}, "true"),
        ({"additionalProperties": True, "type": "object"}, "Record<string, unknown>"),
        ({"enum": ["a", "b"], "type": "string"}, '"a" | "b"'),
    ],
)
def test_schemas_become_types(schema, expression):
    assert contract.expression(schema) == expression


def test_a_schema_that_has_no_type_is_an_error():
    with pytest.raises(KeyError):
        contract.expression({"type": "object"})
