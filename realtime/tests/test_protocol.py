import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from messaging import schemas
from realtime import protocol

TWIN = Path(__file__).resolve().parents[2] / "static" / "client" / "protocol.js"
MOMENT = datetime(2026, 11, 23, 20, 15, 30, 123456, tzinfo=UTC)
ADA = schemas.User(id=1, username="ada")
WIRE_ADA = {"id": 1, "username": "ada"}
ONLINE = schemas.Presence(user=ADA, is_online=True, last_seen=MOMENT, version=3)
WIRE_ONLINE = {"user": WIRE_ADA, "is_online": True, "last_seen": "2026-11-23T20:15:30.123456Z", "version": 3}
ROW = schemas.Notification(
    id=7,
    notification_type="new_message",
    title="New message from ada",
    description="You have received a new message: Hello!",
    level="info",
    is_read=False,
    created_at=MOMENT,
    actor=ADA,
    message_id=5,
    url=None,
    data={"order": {"items": [1, "Grüße"]}},
    group="order:1",
    count=3,
)
WIRE_ROW = {
    "id": 7,
    "notification_type": "new_message",
    "title": "New message from ada",
    "description": "You have received a new message: Hello!",
    "level": "info",
    "is_read": False,
    "created_at": "2026-11-23T20:15:30.123456Z",
    "actor": WIRE_ADA,
    "message_id": 5,
    "url": None,
    "data": {"order": {"items": [1, "Grüße"]}},
    "group": "order:1",
    "count": 3,
}
FRAMES = [
    (
        protocol.HelloFrame(
            connection_id="c",
            user=ADA,
            epoch="e",
            revision=4,
            unread_count=2,
            resumed=False,
            heartbeat_seconds=25,
            server_time=MOMENT,
        ),
        {
            "type": "hello",
            "protocol": 1,
            "connection_id": "c",
            "user": WIRE_ADA,
            "epoch": "e",
            "revision": 4,
            "unread_count": 2,
            "resumed": False,
            "heartbeat_seconds": 25,
            "server_time": "2026-11-23T20:15:30.123456Z",
        },
    ),
    (protocol.PresenceStateFrame(online=[]), {"type": "presence_state", "online": []}),
    (protocol.PresenceStateFrame(online=[ONLINE]), {"type": "presence_state", "online": [WIRE_ONLINE]}),
    (
        protocol.InboxFrame(
            revision=5, unread_count=3, replayed=False, added=[ROW], read=[1], unread=[2], removed=[3]
        ),
        {
            "type": "inbox",
            "revision": 5,
            "unread_count": 3,
            "replayed": False,
            "added": [WIRE_ROW],
            "read": [1],
            "unread": [2],
            "removed": [3],
        },
    ),
    (protocol.SyncedFrame(revision=5, unread_count=3), {"type": "synced", "revision": 5, "unread_count": 3}),
    (
        protocol.ResetFrame(revision=5, unread_count=3, reason="new_epoch"),
        {"type": "reset", "revision": 5, "unread_count": 3, "reason": "new_epoch"},
    ),
    (protocol.PresenceFrame(**dict(ONLINE)), {"type": "presence", **WIRE_ONLINE}),
    (
        protocol.PresenceFrame(user=ADA, is_online=False, last_seen=None, version=0),
        {"type": "presence", "user": WIRE_ADA, "is_online": False, "last_seen": None, "version": 0},
    ),
    (
        protocol.HeartbeatFrame(revision=5, unread_count=3, server_time=MOMENT),
        {"type": "heartbeat", "revision": 5, "unread_count": 3, "server_time": "2026-11-23T20:15:30.123456Z"},
    ),
    (protocol.PongFrame(ref="r"), {"type": "pong", "ref": "r"}),
    (
        protocol.ErrorFrame(code="bad_json", detail="d"),
        {"type": "error", "code": "bad_json", "detail": "d", "ref": None},
    ),
    (
        protocol.ErrorFrame(code="not_allowed", detail="d", ref="r"),
        {"type": "error", "code": "not_allowed", "detail": "d", "ref": "r"},
    ),
]


@pytest.mark.parametrize(("frame", "wire"), FRAMES, ids=lambda value: getattr(value, "type", ""))
def test_a_frame_has_exactly_the_shape_of_the_contract(frame, wire):
    assert json.loads(frame.encode()) == wire


@pytest.mark.parametrize(("frame", "wire"), FRAMES, ids=lambda value: getattr(value, "type", ""))
def test_a_frame_is_closed_and_reads_back(frame, wire):
    adapter = TypeAdapter(protocol.ServerFrame)
    assert adapter.validate_python(wire) == frame
    with pytest.raises(ValidationError):
        adapter.validate_python(wire | {"undeclared": 1})
    for field in wire.keys() - {"type", "protocol", "ref", "added", "read", "unread", "removed"}:
        with pytest.raises(ValidationError):
            adapter.validate_python({name: value for name, value in wire.items() if name != field})


def test_every_frame_type_of_the_contract_is_there():
    union, _ = get_args(protocol.ServerFrame)
    assert {frame.model_fields["type"].default for frame in get_args(union)} == {
        "hello",
        "presence_state",
        "inbox",
        "synced",
        "reset",
        "presence",
        "heartbeat",
        "pong",
        "error",
    }


def test_the_codes_and_reasons_are_the_contracts():
    assert set(get_args(protocol.ErrorCode)) == {"bad_json", "unknown_type", "bad_request", "not_allowed"}
    assert get_args(protocol.ResetReason) == (
        "new_epoch",
        "unknown_revision",
        "history_removed",
        "too_far_behind",
    )
    assert {int(code) for code in protocol.CloseCode} == {
        1009,
        1011,
        1012,
        4000,
        4001,
        4002,
        4500,
        4501,
        4502,
        4503,
    }


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"type": "ping", "ref": "r"}', protocol.PingCommand(type="ping", ref="r")),
        ('{"type": "ping", "ref": ""}', protocol.PingCommand(type="ping", ref="")),
        (json.dumps({"type": "ping", "ref": "é" * 64}), protocol.PingCommand(type="ping", ref="é" * 64)),
        ('{"type": "resume", "since": 5}', protocol.ResumeCommand(type="resume", since=5)),
        ('{"type": "resume", "since": null}', protocol.ResumeCommand(type="resume", since=None)),
        ('{"type": "resume", "since": "x"}', protocol.ResumeCommand(type="resume", since="x")),
        (
            '{"type": "resume", "since": 5, "epoch": "e"}',
            protocol.ResumeCommand(type="resume", since=5, epoch="e"),
        ),
        (
            '{"type": "resume", "since": 5, "epoch": null}',
            protocol.ResumeCommand(type="resume", since=5, epoch=None),
        ),
    ],
)
def test_a_command_is_understood(text, command):
    assert protocol.decode(text) == command


@pytest.mark.parametrize(
    ("text", "code", "ref"),
    [
        ("", "bad_json", None),
        ("{", "bad_json", None),
        ("[" * 4000, "bad_json", None),
        ("[" * 2000 + "]" * 2000, "bad_json", None),
        ("[" * 900 + "]" * 900, "bad_request", None),
        ('{"type": "ping", "ref": NaN}', "bad_json", None),
        ('{"type": "resume", "since": -Infinity}', "bad_json", None),
        ("[]", "bad_request", None),
        ("null", "bad_request", None),
        ('"ping"', "bad_request", None),
        ("{}", "bad_request", None),
        ('{"type": null}', "bad_request", None),
        ('{"type": 1, "ref": "r"}', "bad_request", "r"),
        ('{"type": ["ping"], "ref": "r"}', "bad_request", "r"),
        ('{"type": ""}', "unknown_type", None),
        ('{"type": "publish", "ref": "r"}', "unknown_type", "r"),
        ('{"type": "publish", "ref": 5}', "unknown_type", None),
        ('{"type": "hello"}', "unknown_type", None),
        ('{"type": "Ping", "ref": "r"}', "unknown_type", "r"),
        ('{"type": "__init__"}', "unknown_type", None),
        ('{"type": "ping"}', "bad_request", None),
        ('{"type": "ping", "ref": null}', "bad_request", None),
        ('{"type": "ping", "ref": 1}', "bad_request", None),
        (json.dumps({"type": "ping", "ref": "r" * 65}), "bad_request", None),
        ('{"type": "ping", "ref": "r", "more": 1}', "bad_request", "r"),
        ('{"type": "resume"}', "bad_request", None),
        ('{"type": "resume", "ref": "r"}', "bad_request", "r"),
        ('{"type": "resume", "since": 5, "epoch": 5}', "bad_request", None),
        # Half of a surrogate pair: JSON can spell it, UTF-8 can't carry it.
        ('{"type": "ping", "ref": "\\ud800"}', "bad_json", None),
        ('{"type": "\\ud800", "ref": "r"}', "bad_json", None),
        ('{"type": "resume", "since": 5, "epoch": "\\ud800"}', "bad_json", None),
        ('{"type": "ping", "ref": "r", "\\ud800": 1}', "bad_json", None),
    ],
)
def test_a_bad_command_is_answered_with_its_code_and_ref(text, code, ref):
    with pytest.raises(protocol.BadCommand) as bad:
        protocol.decode(text)
    wire = json.loads(bad.value.frame.encode())
    assert (wire["type"], wire["code"], wire["ref"]) == ("error", code, ref)
    assert wire["detail"]


@pytest.mark.parametrize("value", [0, 1, 2**63 - 1])
def test_an_integer_from_0_to_2_63_less_one_is_a_revision(value):
    assert protocol.as_revision(value) == value


@pytest.mark.parametrize("value", [None, True, False, -1, 2**63, 1.0, 1.5, "", "x", "1", [], {}])
def test_nothing_else_is_a_revision(value):
    assert protocol.as_revision(value) is None


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("007", 7), (str(2**63 - 1), 2**63 - 1)])
def test_in_a_query_string_a_number_is_a_text(text, value):
    assert protocol.as_revision(protocol.parse_since(text)) == value


@pytest.mark.parametrize(
    "text", ["", "x", "5x", "-1", "+1", " 1", "1 ", "1_0", "1.0", "٣", "²", str(2**63), "9" * 5000]
)
def test_any_other_text_in_a_query_string_is_no_revision(text):
    assert protocol.as_revision(protocol.parse_since(text)) is None


# --- The twin in the browser ---------------------------------------------------------------------------------


def table_of(name):
    """Return an object literal of the JavaScript twin."""
    [body] = re.findall(rf"export const {name} = Object\.freeze\(\{{(.*?)\}}\)", TWIN.read_text(), re.DOTALL)
    entries = re.findall(r'^\s*([A-Z_]+): ("[^"]*"|\d+),?$', body, re.MULTILINE)
    assert len(entries) == len([line for line in body.splitlines() if ":" in line])
    return {key: json.loads(value) for key, value in entries}


def constant_of(name):
    [value] = re.findall(rf"export const {name} = (.+?);", TWIN.read_text())
    return json.loads(value)


def test_the_twin_knows_the_same_frame_types():
    union, _ = get_args(protocol.ServerFrame)
    assert set(table_of("FrameType").values()) == {
        frame.model_fields["type"].default for frame in get_args(union)
    }


def test_the_twin_knows_the_same_commands():
    assert set(table_of("CommandType").values()) == set(protocol.COMMANDS)


def test_the_twin_knows_the_same_close_codes_by_the_same_names():
    # These three no application sends; a client sees them all the same.
    of_the_web = {"NORMAL": 1000, "GOING_AWAY": 1001, "ABNORMAL": 1006}
    ours = {code.name: int(code) for code in protocol.CloseCode}
    assert table_of("CloseCode") == of_the_web | ours


def test_the_twin_knows_the_same_words_of_the_handshake_and_the_same_limits():
    assert constant_of("SUBPROTOCOL") == protocol.SUBPROTOCOL
    assert constant_of("TICKET_PREFIX") == protocol.TICKET_PREFIX
    assert constant_of("SOCKET_PATH") == "/ws/notifications/"
    assert constant_of("RESUMES_PER_MINUTE") == protocol.RESUMES_PER_MINUTE
