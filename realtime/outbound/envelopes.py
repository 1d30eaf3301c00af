"""The envelopes that server processes exchange over the channel layer, encoded and decoded here alone.

A hub ignores an unknown kind or version: during a rolling upgrade two versions of the server share the layer.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, get_origin

VERSION = 1
PRESENCE_GROUP = "presence"


def user_group(user_id: int) -> str:
    """The group that a user's sockets share."""
    return f"user.{user_id}"


class GroupMessage(NamedTuple):
    """What Channels' `group_send` takes."""

    group: str
    message: dict[str, Any]


@dataclass(slots=True)
class Envelope:
    """To a group of hubs. `KIND` is the message's type in Channels' words."""

    KIND: ClassVar[str]

    @property
    def group(self) -> str:
        raise NotImplementedError

    def encode(self) -> GroupMessage:
        """Return the group, and the message for Channels' `group_send`."""
        values = {name: getattr(self, name) for name in _KINDS[self.KIND].names}
        return GroupMessage(self.group, {"type": self.KIND, "v": VERSION, **values})


@dataclass(slots=True)
class UserEnvelope(Envelope):
    """To the hubs that have a socket of this user's."""

    user: int

    @property
    def group(self) -> str:
        return user_group(self.user)


@dataclass(slots=True)
class RevisionEnvelope(UserEnvelope):
    """A revision of a user's inbox, with its frame, encoded once for all sockets and processes.

    `revision` and `unread_count` are in the frame, too: here a hub can put frames in order without parsing JSON.
    """

    KIND: ClassVar[str] = "doorbell.inbox"

    revision: int
    unread_count: int
    frame: str


@dataclass(slots=True)
class RecheckEnvelope(UserEnvelope):
    """A login of this user may have ended: their sockets' logins are to be revalidated."""

    KIND: ClassVar[str] = "doorbell.recheck"


@dataclass(slots=True)
class CloseEnvelope(UserEnvelope):
    """One socket is to be closed, in whichever process it is."""

    KIND: ClassVar[str] = "doorbell.close"

    connection: str
    code: int


@dataclass(slots=True)
class PresenceEnvelope(Envelope):
    """The presence of these users may have changed."""

    KIND: ClassVar[str] = "doorbell.presence"

    users: list[int]

    def __post_init__(self) -> None:
        if not all(isinstance(user_id, int) for user_id in self.users):
            raise TypeError("users are ids")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


@dataclass(slots=True)
class ViewsEnvelope(Envelope):
    """What one user sees of another has changed, for that one alone: a list of [seen, viewer], both ids."""

    KIND: ClassVar[str] = "doorbell.views"

    views: list[list[int]]

    def __post_init__(self) -> None:
        if not all(
            len(view) == 2 and all(isinstance(user_id, int) for user_id in view) for view in self.views
        ):
            raise TypeError("a view is two ids")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


@dataclass(slots=True)
class DeletedEnvelope(Envelope):
    """A user who was shown online has been deleted, name and all. `views`: a list of [version, viewer]."""

    KIND: ClassVar[str] = "doorbell.deleted"

    user: int
    username: str
    views: list[list[int]]

    def __post_init__(self) -> None:
        if not all(len(view) == 2 and all(isinstance(part, int) for part in view) for view in self.views):
            raise TypeError("a view is a version and an id")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


class _Kind(NamedTuple):
    envelope: type[Envelope]
    names: tuple[str, ...]
    types: tuple[type, ...]


def _kind(envelope: type[Envelope]) -> _Kind:
    names = tuple(field.name for field in fields(envelope))
    types: Any = tuple(get_origin(field.type) or field.type for field in fields(envelope))
    return _Kind(envelope, names, types)


_KINDS = {
    envelope.KIND: _kind(envelope)
    for envelope in (
        RevisionEnvelope,
        RecheckEnvelope,
        CloseEnvelope,
        PresenceEnvelope,
        ViewsEnvelope,
        DeletedEnvelope,
    )
}


def decode(message: Any) -> Envelope | None:
    """Return the envelope in a message, None for what isn't one, and for an unknown kind or version.

    Raises KeyError or TypeError for a malformed one.
    """
    kind = _KINDS.get(message.get("type", "")) if isinstance(message, dict) else None
    if kind is None or message.get("v") != VERSION:
        return None
    values = tuple(map(message.__getitem__, kind.names))
    if tuple(map(type, values)) != kind.types:
        raise TypeError(f"malformed {message['type']}: {message!r:.200}")
    return kind.envelope(*values)
