"""The JSON shapes of requests' bodies, as in docs/protocol.md §3. Queries are in queries.py, answers in schemas.py."""

import functools
import zoneinfo
from typing import Annotated, Any, ClassVar, Self

from django.conf import settings
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from messaging import notification_types, users
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


def _given_key(wire: Any) -> Any:
    """Return the key of an id as the wire has it; None if no user can have it."""
    given = _whole(wire)
    if isinstance(wire, bool) or not isinstance(given, int | str):
        raise ValueError("it must be an integer or a text")  # noqa: TRY004  pydantic's kind
    key = users.key_of(given)
    if type(key) is int and isinstance(given, str) and users.wire_id(key) != given:
        raise ValueError("it must be an integer")
    return key


UserId = Annotated[
    Any, BeforeValidator(_given_key), WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]})
]


class Body(Shape):
    """A request's body: closed and strict, so that "5" isn't accepted as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


def about(text: str) -> Any:
    """Say what a field or a parameter means: in the OpenAPI document, and on the API's page."""
    return Field(description=text)


# The default of a title: none that is given can be this text.
LEFT_OUT = "\0left out"
USER_NAME = about("The user's name, as others see it.")
USER_ID = about("The user's id.")
IDS = about("Ids of notifications.")


class Credentials(Body):
    username: Annotated[Text, about("The name with which the user signs in.")]
    password: Annotated[Secret, about("The user's password.")]


def _language(code: str) -> str:
    if code and code not in dict(settings.LANGUAGES):
        raise ValueError("this server has no such language")
    return code


def _time_zone(name: str) -> str:
    if name and name not in _time_zones():
        raise ValueError("there is no such time zone: Europe/Berlin is one")
    return name


@functools.cache
def _time_zones() -> set[str]:
    # Without the files that are no place's: what the machine's own zone is, and that none has been chosen.
    return zoneinfo.available_timezones() - {"localtime", "Factory"}


class ProfileChange(Body):
    """At least one of these; what isn't given stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    is_hidden: Annotated[bool, about("Whether contacts are to see the user as offline and never seen.")] = (
        False
    )
    language: Annotated[
        Text,
        Field(max_length=16),
        AfterValidator(_language),
        about("In which notifications are written: `de`, say. Empty: the server's."),
    ] = ""
    timezone: Annotated[
        Text,
        Field(max_length=64),
        AfterValidator(_time_zone),
        about("The user's time zone: `Europe/Berlin`, say. Empty: the server's."),
    ] = ""

    @model_validator(mode="after")
    def at_least_one(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give is_hidden, language or timezone")
        return self


class OneUser(Body):
    """Names a user in one of two fields: by name, or by id, since names needn't be unique."""

    FIELDS: ClassVar[tuple[str, str]]

    @model_validator(mode="after")
    def exactly_one(self) -> Self:
        if len(self.model_fields_set.intersection(self.FIELDS)) != 1:
            raise ValueError(f"give either {self.FIELDS[0]}, or {self.FIELDS[1]}")
        return self

    @property
    def name(self) -> str | None:
        """The user's name; None if they are given by `key`."""
        return getattr(self, self.FIELDS[0]) if self.FIELDS[0] in self.model_fields_set else None

    @property
    def key(self) -> Any:
        return getattr(self, self.FIELDS[1])


def one_of(*fields: str, without_default: tuple[str, ...] = ()) -> ConfigDict:
    def describe(schema: dict[str, Any]) -> None:
        schema["oneOf"] = [{"required": [field]} for field in fields]
        for field in (*fields, *without_default):
            schema["properties"][field].pop("default", None)

    return ConfigDict(json_schema_extra=describe)


class NewBlock(OneUser):
    """Either `username` or `user_id`."""

    FIELDS = ("username", "user_id")
    model_config = one_of(*FIELDS)

    username: Annotated[Text, USER_NAME] = ""
    user_id: Annotated[UserId, USER_ID] = None


class NewMessage(OneUser):
    """Either `receiver`, a username, or `receiver_id`."""

    FIELDS = ("receiver", "receiver_id")
    model_config = one_of(*FIELDS)

    receiver: Annotated[Text, USER_NAME] = ""
    receiver_id: Annotated[UserId, USER_ID] = None
    content: Annotated[Text, Field(min_length=1, max_length=1000), about("The message's text.")]


class Chosen(Body):
    ids: Annotated[list[AnyId], Field(max_length=1000), IDS]


class ChosenOrAll(Body):
    """Either `ids` or `all`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    ids: Annotated[list[AnyId], Field(max_length=1000), IDS] = []
    all: Annotated[bool, Field(json_schema_extra={"const": True}), about("All of the user's.")] = True

    @model_validator(mode="after")
    def exactly_one(self) -> "ChosenOrAll":
        if len(self.model_fields_set) != 1 or not self.all:
            raise ValueError("give either ids, or all: true")
        return self

    @property
    def chosen(self) -> list[int] | None:
        """The ids; None means all."""
        return None if "all" in self.model_fields_set else self.ids


class NewNotification(OneUser):
    """Either `user`, the name with which they sign in, or `user_id`.

    With an `idempotency_key` a token's second try makes nothing new.
    """

    FIELDS = ("user", "user_id")
    model_config = one_of(*FIELDS, without_default=("title",))

    user: Annotated[Text, about("The name with which the user signs in.")] = ""
    user_id: Annotated[UserId, USER_ID] = None
    notification_type: Annotated[Text, about("The name of a declared type: `announcement`, say.")]
    title: Annotated[
        Text,
        Field(min_length=1, max_length=200),
        Field(validate_default=True),
        about("It has to show something. It may be left out where the type makes it of the data."),
    ] = LEFT_OUT
    description: Annotated[Text, Field(max_length=500), about("What the title doesn't say.")] = ""
    level: Annotated[Level | None, about("Without it, the type's own.")] = None
    url: Annotated[
        Annotated[Text, Field(max_length=500)] | None,
        about("Where a click leads: relative to the site, http or https."),
    ] = None
    idempotency_key: Annotated[
        Annotated[Text, Field(min_length=1, max_length=150)] | None,
        about("With it, this token notifies this user once, however often the call is repeated."),
    ] = None
    data: Annotated[
        dict[str, Any] | None, about("What clients get beside the texts, and these are made of.")
    ] = None

    @field_validator("title", mode="wrap")
    @classmethod
    def is_given_or_made(cls, title: Any, check: Any, info: ValidationInfo) -> Any:
        if title is not LEFT_OUT:
            return check(title)
        if not notification_types.makes_titles(info.data.get("notification_type", "")):
            raise PydanticCustomError("missing", "Field required")
        return title


Several = Annotated[list[NewNotification], Field(min_length=1, max_length=500)]


class NewNotifications(Body):
    items: Annotated[Several, about("What to publish.")]
    atomic: Annotated[bool, about("Publish all of them, or none: 422 if something is wrong with one.")] = (
        False
    )


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
