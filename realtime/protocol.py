"""The wire: frames, commands, close codes, error codes, and nothing else. protocol.md in code.

Its twin is static/client/protocol.js.
"""

import json
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from messaging import schemas

SUBPROTOCOL = "notifications.v1"
TICKET_PREFIX = "ticket."
MAX_COMMAND_BYTES = 4 * 1024
MAX_INVALID_COMMANDS = 10
# Of a command. How deep Python reads JSON differs between its versions.
MAX_BRACKETS = 900
RESUMES_PER_MINUTE = 6

ErrorCode = Literal["bad_json", "unknown_type", "bad_request", "not_allowed"]
ResetReason = Literal["new_epoch", "unknown_revision", "history_removed", "too_far_behind"]


class CloseCode(IntEnum):
    """4000 to 4499: the client reconnects with backoff and `since`. 4500 to 4999: it stops and tells the user."""

    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    MAX_AGE = 4000
    SLOW_CONSUMER = 4001
    RATE_LIMITED = 4002
    UNAUTHENTICATED = 4500
    PROTOCOL_ERROR = 4501
    TOO_MANY_CONNECTIONS = 4502
    SIGNED_OUT = 4503


class Frame(BaseModel):
    """What is sent. Closed: an undeclared field is a bug, found at construction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def encode(self) -> str:
        return self.model_dump_json()


class HelloFrame(Frame):
    type: Literal["hello"] = "hello"
    protocol: Literal[1] = 1
    connection_id: str
    user: schemas.User
    epoch: str
    revision: int
    unread_count: int
    resumed: bool
    heartbeat_seconds: int
    server_time: datetime


class PresenceStateFrame(Frame):
    type: Literal["presence_state"] = "presence_state"
    online: list[schemas.Presence]


class InboxFrame(Frame):
    type: Literal["inbox"] = "inbox"
    revision: int
    unread_count: int
    replayed: bool
    added: list[schemas.Notification] = []
    read: list[int] = []
    unread: list[int] = []
    removed: list[int] = []


class FrameTemplate(NamedTuple):
    """An inbox frame with one new notification, without its revision, its unread count and the notification's id.

    Of many users who get the same, these three alone differ. They come before anything of a person's in the text.
    """

    to_revision: str
    to_unread_count: str
    to_id: str
    rest: str

    @classmethod
    def of(cls, notification: schemas.Notification) -> Self:
        frame = InboxFrame(revision=-1, unread_count=-2, replayed=False, added=[notification])
        text, places = frame.encode(), ('"revision":-1', '"unread_count":-2', f'"id":{notification.id}')
        parts: list[str] = []
        for place in places:
            before, _, text = text.partition(place)
            parts.append(before + place[: place.index(":") + 1])
        return cls(parts[0], parts[1], parts[2], text)

    def filled(self, revision: int, unread_count: int, notification_id: int) -> str:
        before_id = f"{self.to_revision}{revision}{self.to_unread_count}{unread_count}{self.to_id}"
        return f"{before_id}{notification_id}{self.rest}"


class SyncedFrame(Frame):
    type: Literal["synced"] = "synced"
    revision: int
    unread_count: int


class ResetFrame(Frame):
    type: Literal["reset"] = "reset"
    revision: int
    unread_count: int
    reason: ResetReason


class PresenceFrame(Frame):
    type: Literal["presence"] = "presence"
    user: schemas.User
    is_online: bool
    last_seen: datetime | None
    version: int


class HeartbeatFrame(Frame):
    type: Literal["heartbeat"] = "heartbeat"
    revision: int
    unread_count: int
    server_time: datetime


class PongFrame(Frame):
    type: Literal["pong"] = "pong"
    ref: str


class ErrorFrame(Frame):
    type: Literal["error"] = "error"
    code: ErrorCode
    detail: str
    ref: str | None = None


ServerFrame = Annotated[
    HelloFrame
    | PresenceStateFrame
    | InboxFrame
    | SyncedFrame
    | ResetFrame
    | PresenceFrame
    | HeartbeatFrame
    | PongFrame
    | ErrorFrame,
    Field(discriminator="type"),
]

Ref = Annotated[str, StringConstraints(max_length=64)]


class Command(BaseModel):
    """What a client may send."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ResumeCommand(Command):
    """A `since` that is no revision is answered with a reset, not with an error. The `ref` only an error echoes."""

    type: Literal["resume"]
    since: Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 2**63 - 1})]
    epoch: str | None = None
    ref: Ref | None = None


class PingCommand(Command):
    type: Literal["ping"]
    ref: Ref


COMMANDS: dict[str, type[ResumeCommand] | type[PingCommand]] = {"resume": ResumeCommand, "ping": PingCommand}


class BadCommand(Exception):
    """A malformed or unknown command. `frame` is the answer to it."""

    def __init__(self, code: ErrorCode, detail: str, ref: str | None = None) -> None:
        super().__init__(detail)
        self.frame = ErrorFrame(code=code, detail=detail, ref=ref)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def decode(text: str) -> ResumeCommand | PingCommand:
    """Read a command. Raises BadCommand."""
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise BadCommand("bad_json", "This is nested too deeply to be read as JSON.")
    try:
        data = json.loads(text, parse_constant=_no_constant)
        # JSON can spell half of a surrogate pair, which no answer in UTF-8 could echo.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadCommand("bad_json", "This is not JSON.") from None
    if not isinstance(data, dict):
        raise BadCommand("bad_request", "A command is a JSON object with a type.")
    ref = data.get("ref")
    if not isinstance(ref, str) or len(ref) > 64:
        ref = None
    name = data.get("type")
    if not isinstance(name, str):
        raise BadCommand("bad_request", "A command needs a type, which is a string.", ref)
    if name not in COMMANDS:
        raise BadCommand("unknown_type", f"Known commands are {' and '.join(sorted(COMMANDS))}.", ref)
    try:
        return COMMANDS[name].model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadCommand("bad_request", f"{where}: {first['msg']}", ref) from None


def as_revision(value: Any) -> int | None:
    """Read a client's `since`. None if it is no revision."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    return None


def parse_since(text: str) -> int | str:
    """Read a `since` of a query string, where a number is a text. What is none stays what it is."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else text


def notification_ids(frame: str) -> list[int]:
    """Return the ids of the notifications in an encoded inbox frame."""
    data = json.loads(frame)
    changed = [*data.get("read", ()), *data.get("unread", ()), *data.get("removed", ())]
    return [*(added["id"] for added in data.get("added", ())), *changed]


def now() -> datetime:
    return datetime.now(UTC)
