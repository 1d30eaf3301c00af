"""The JSON shapes of docs/protocol.md, shared by HTTP and the socket. Nothing else is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from .notification_types import Level


def _whole(number: Any) -> Any:
    """JSON doesn't distinguish 5.0 from 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _possible(number: int) -> int:
    return number if 0 < number < 2**63 else 0


RowId = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(_whole)]
# For calls in which an unknown id isn't an error: an id that no row can have becomes 0, which no row has either.
AnyId = Annotated[int, BeforeValidator(_whole), AfterValidator(_possible)]
# PostgreSQL stores no NUL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
# With any pattern pydantic refuses a lone surrogate: JSON allows it, but it can't be encoded for hashing.
Secret = Annotated[str, Field(pattern=r"^[\s\S]*$")]


class Shape(BaseModel):
    """A closed shape: an undeclared field is a bug in the server, and an error in a request."""

    model_config = ConfigDict(extra="forbid")


class User(Shape):
    id: int
    username: str


class Notification(Shape):
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
)


def notification(row: Mapping[str, Any]) -> Notification:
    """Build the shape from a row with NOTIFICATION_COLUMNS and `actor_username`. Accepts SQLite's raw values."""
    actor_id = row["actor_id"]
    return Notification.model_construct(
        id=row["id"],
        notification_type=row["notification_type"],
        title=row["title"],
        description=row["description"],
        level=row["level"],
        is_read=bool(row["is_read"]),
        created_at=as_utc(row["created_at"]),
        actor=None if actor_id is None else User.model_construct(id=actor_id, username=row["actor_username"]),
        message_id=row["message_id"],
        url=row["url"],
    )


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
    """Who is signed in, and the token that unsafe calls send as `X-CSRFToken`."""

    user: User | None
    csrf_token: str


class Profile(Shape):
    """`is_hidden`: contacts see the user as offline and never seen."""

    user: User
    is_hidden: bool


class Users(Shape):
    items: list[User]
    next: int | None


class Messages(Shape):
    items: list[Message]
    next: int | None


class Notifications(Shape):
    """`items` may be newer than `revision`, never older."""

    items: list[Notification]
    next: int | None
    epoch: str
    revision: int
    unread_count: int


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


# --- Requests ---------------------------------------------------------------------------------------------------------


class Body(Shape):
    """A request's body: closed and strict, so that "5" isn't accepted as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Credentials(Body):
    username: Text
    password: Secret


class ProfileChange(Body):
    is_hidden: bool


class NewMessage(Body):
    """`receiver` is a username."""

    receiver: Text
    content: Annotated[Text, Field(min_length=1, max_length=1000)]


class Chosen(Body):
    ids: Annotated[list[AnyId], Field(max_length=1000)]


class ChosenOrAll(Body):
    """Either `ids` or `all`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    ids: Annotated[list[AnyId], Field(max_length=1000)] = []
    all: Annotated[bool, Field(json_schema_extra={"const": True})] = True

    @model_validator(mode="after")
    def exactly_one(self) -> "ChosenOrAll":
        if len(self.model_fields_set) != 1 or not self.all:
            raise ValueError("give either ids, or all: true")
        return self

    @property
    def chosen(self) -> list[int] | None:
        """The ids; None means all."""
        return None if "all" in self.model_fields_set else self.ids


class Page(Shape):
    """A list is read newest first. `before` is the last answer's `next`."""

    # A query parameter can be absent, but not null.
    before: RowId | SkipJsonSchema[None] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class UserPage(Page):
    search: Text = ""


class MessagePage(Page):
    """`with` is a username."""

    partner: Annotated[Text | SkipJsonSchema[None], Field(alias="with")] = None


class NotificationPage(Page):
    unread: bool = False
    notification_type: Text | SkipJsonSchema[None] = None


class NewNotification(Body):
    """`user` is a username. With an `idempotency_key` a token's second try makes nothing new."""

    user: Text
    notification_type: Text
    title: Annotated[Text, Field(min_length=1, max_length=200)]
    description: Annotated[Text, Field(max_length=500)] = ""
    level: Level | None = None
    url: Annotated[Text, Field(max_length=500)] | None = None
    idempotency_key: Annotated[Text, Field(min_length=1, max_length=150)] | None = None


Several = Annotated[list[NewNotification], Field(min_length=1, max_length=500)]


class NewNotifications(Body):
    items: Several
    atomic: bool = False


def _form(body: Any) -> str:
    if isinstance(body, list):
        return "several"
    named = isinstance(body, NewNotifications) or (isinstance(body, dict) and "items" in body)
    return "many" if named else "one"


# One item, a list of items, or an object with a list and options.
OneOrMany = Annotated[
    Annotated[NewNotification, Tag("one")]
    | Annotated[Several, Tag("several")]
    | Annotated[NewNotifications, Tag("many")],
    Discriminator(_form),
]
