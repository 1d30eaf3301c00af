"""The JSON shapes of docs/protocol.md, shared by HTTP and the socket. Nothing else is sent."""

import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from . import actions, data, notification_types, users
from .notification_types import DEFAULT_ICON, Level, NotificationType

# A user's key is given, and the wire's id is kept.
UserId = Annotated[
    Any,
    BeforeValidator(users.wire_id),
    WithJsonSchema({"oneOf": [{"type": "integer"}, {"type": "string"}]}),
]


class Shape(BaseModel):
    """A closed shape: an undeclared field is a bug in the server, and an error in a request."""

    model_config = ConfigDict(extra="forbid")


class User(Shape):
    """`id`: an integer, or a text where the project's keys are no integers, or ones that JavaScript would round."""

    id: UserId
    username: str


class Action(Shape):
    """What a notification offers to do: a link, or a POST to the server by the user."""

    label: str
    url: str
    method: Literal["GET", "POST"]


class Notification(Shape):
    """`icon` and `actions` are its type's, and left out where it has none of its own."""

    id: int
    notification_type: str
    title: str
    description: str
    level: Level
    is_read: bool
    created_at: datetime
    actor: User | None
    message_id: int | None
    url: str | None
    data: dict[str, Any] | None
    group: str | None
    count: Annotated[int, Field(ge=1)]
    icon: str = Field(default=DEFAULT_ICON, exclude_if=DEFAULT_ICON.__eq__)
    actions: list[Action] = Field(default=[], max_length=actions.MAX_ACTIONS, exclude_if=operator.not_)


# The columns that make a Notification, as both the ORM's values() and raw SQL name them.
NOTIFICATION_COLUMNS = (
    "id",
    "notification_type",
    "title",
    "description",
    "level",
    "is_read",
    "created_at",
    "actor_id",
    "message_id",
    "url",
    "data",
    "group_key",
    "group_count",
    "language",
)


def notification(row: Mapping[str, Any]) -> Notification:
    """Build the shape from a row with NOTIFICATION_COLUMNS and `actor_username`. Accepts SQLite's raw values."""
    actor_id = row["actor_id"]
    # None: it isn't declared any more.
    declared = notification_types.find(row["notification_type"])
    carried = None if row["data"] is None else data.decoded(row["data"])
    return Notification.model_construct(
        id=row["id"],
        notification_type=row["notification_type"],
        title=row["title"],
        description=row["description"],
        level=row["level"],
        is_read=bool(row["is_read"]),
        created_at=as_utc(row["created_at"]),
        actor=None
        if actor_id is None
        else User.model_construct(id=users.wire_id(actor_id), username=row["actor_username"] or ""),
        message_id=row["message_id"],
        url=row["url"],
        data=carried,
        group=row["group_key"],
        count=row["group_count"],
        icon=DEFAULT_ICON if declared is None else declared.icon,
        actions=_actions(declared, carried, row["language"]),
    )


def _actions(
    declared: NotificationType | None, carried: dict[str, Any] | None, language: str
) -> list[Action]:
    if declared is None or not declared.actions:
        return []
    offered = actions.of(declared.actions, carried, language)
    return [Action.model_construct(**action._asdict()) for action in offered]


def as_utc(moment: datetime | str) -> datetime:
    """Make a time from a raw query timezone-aware: SQLite stores UTC without an offset."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Presence(Shape):
    user: User
    is_online: bool
    last_seen: datetime | None
    version: int


class Block(Shape):
    user: User
    created_at: datetime


class Message(Shape):
    id: int
    sender: User
    receiver: User
    content: str
    timestamp: datetime
    is_read: bool


# --- Responses --------------------------------------------------------------------------------------------------------


class Problem(Shape):
    """Any answer that isn't a success: `detail` is for people, `code` for programs."""

    detail: str
    code: str


class Session(Shape):
    """Who is signed in, and the token that unsafe calls send in the header `csrf_header`."""

    user: User | None
    csrf_token: str
    csrf_header: str


class Profile(Shape):
    """`is_hidden`: contacts see the user as offline and never seen. `language`, `timezone`: empty for the server's."""

    user: User
    is_hidden: bool
    language: str
    timezone: str


class Users(Shape):
    items: list[User]
    next: UserId | None


class Messages(Shape):
    items: list[Message]
    next: int | None


class Blocks(Shape):
    items: list[Block]
    next: int | None


class Notifications(Shape):
    """`items` may be newer than `revision`, never older."""

    items: list[Notification]
    next: int | None
    epoch: str
    revision: int
    unread_count: int


class Members(Shape):
    """What a notification of a group stands for, itself included."""

    items: list[Notification]
    next: int | None


class Marked(Shape):
    """`ids` were changed by this call; `revision` includes the change."""

    revision: int
    unread_count: int
    ids: list[int]


class Presences(Shape):
    items: list[Presence]


class ItemProblem(Problem):
    """`index`: the item's place among those published, from 0."""

    index: int


class Published(Shape):
    """How many were made, how many had been made before, and what is wrong with the others."""

    created: int
    duplicates: int
    errors: list[ItemProblem]


class NothingPublished(Problem):
    errors: list[ItemProblem]
