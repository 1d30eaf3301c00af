"""The JSON shapes of requests' bodies and queries, as in docs/protocol.md §3. Answers are in messaging/schemas.py."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from messaging import users
from messaging.notification_types import Level
from messaging.schemas import Shape


def _whole(number: Any) -> Any:
    """JSON doesn't distinguish 5.0 from 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _possible(number: int) -> int:
    return number if -(2**63) <= number < 2**63 else 0


def _key(text: str) -> Any:
    key = users.key_of(text)
    if key is None:
        raise ValueError("no user has this id")
    return key


RowId = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(_whole)]
# For calls in which an unknown id isn't an error: an id that no row can have becomes 0, which no row has either.
AnyId = Annotated[int, BeforeValidator(_whole), AfterValidator(_possible)]
# PostgreSQL stores no NUL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
# Of a user, in an address: their key is made of it.
UserRowId: Any = RowId if users.has_integer_keys() else Annotated[str, AfterValidator(_key)]
AnyUserId: Any = AnyId if users.has_integer_keys() else Annotated[str, AfterValidator(users.key_of)]
# With any pattern pydantic refuses a lone surrogate: JSON allows it, but it can't be encoded for hashing.
Secret = Annotated[str, Field(pattern=r"^[\s\S]*$")]


class Body(Shape):
    """A request's body: closed and strict, so that "5" isn't accepted as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Credentials(Body):
    username: Text
    password: Secret


class ProfileChange(Body):
    is_hidden: bool


class NewBlock(Body):
    username: Text


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
    before: UserRowId | SkipJsonSchema[None] = None
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
