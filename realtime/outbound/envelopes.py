"""The envelopes that server processes exchange over the channel layer, encoded and decoded here alone.

A hub ignores an unknown kind or version: during a rolling upgrade two versions of the server share the layer.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, get_origin

from messaging import users
from realtime import protocol

VERSION = 1
# The group that all hubs share.
PRESENCE_GROUP = "presence"
# A user's key, in a message as the wire has it; and lists of keys, and of lists in which keys and numbers are.
Key = Any
Keys = list[Key]
KeyLists = list[list[Key]]


def user_group(user_id: Key) -> str:
    """The group that a user's sockets share."""
    return f"user.{users.slug(user_id)}"


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
        kind = _KINDS[self.KIND]
        values = {name: getattr(self, name) for name in kind.names}
        for name in kind.keys:
            values[name] = _to_wire(values[name])
        return GroupMessage(self.group, {"type": self.KIND, "v": VERSION, **values})


@dataclass(slots=True)
class UserEnvelope(Envelope):
    """To the hubs that have a socket of this user's."""

    user: Key

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
class AnnouncementEnvelope(Envelope):
    """Revisions of many users that bring them the same new notification: to all hubs, since any may have some of them.

    `numbers`: of each user revision, unread count and the notification's id, which belong between the `parts` of the
    frame (protocol.FrameTemplate). A hub makes frames for the users alone who have a socket.
    """

    KIND: ClassVar[str] = "doorbell.announcement"

    users: Keys
    numbers: list[list[int]]
    parts: list[str]

    def __post_init__(self) -> None:
        if len(self.users) != len(self.numbers) or list(map(type, self.parts)) != [str] * 4:
            raise TypeError("users, numbers and parts don't belong together")
        if not all(list(map(type, numbers)) == [int] * 3 for numbers in self.numbers):
            raise TypeError("numbers are three for each user")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP

    def of(self, wanted: Container[Key]) -> Iterator[RevisionEnvelope]:
        """Yield the revisions of these users alone."""
        template = protocol.FrameTemplate(*self.parts)
        for user, numbers in zip(self.users, self.numbers, strict=True):
            if user in wanted:
                revision, unread_count, _ = numbers
                yield RevisionEnvelope(user, revision, unread_count, template.filled(*numbers))


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

    users: Keys

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


@dataclass(slots=True)
class ViewsEnvelope(Envelope):
    """What one user sees of another has changed, for that one alone: a list of [seen, viewer], both ids."""

    KIND: ClassVar[str] = "doorbell.views"

    views: KeyLists

    def __post_init__(self) -> None:
        if not all(len(view) == 2 for view in self.views):
            raise TypeError("a view is two keys")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


@dataclass(slots=True)
class DeletedEnvelope(Envelope):
    """A user who was shown online has been deleted, name and all. `views`: a list of [version, viewer]."""

    KIND: ClassVar[str] = "doorbell.deleted"

    user: Key
    username: str
    views: KeyLists

    def __post_init__(self) -> None:
        if not all(len(view) == 2 and isinstance(view[0], int) for view in self.views):
            raise TypeError("a view is a version and a key")

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


class _Kind(NamedTuple):
    """A kind's fields. `keys`: those that hold keys. `types`: of the values in a message, where a key may be a text."""

    envelope: type[Envelope]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    types: tuple[tuple[type, ...], tuple[type, ...]]
    # Those of a message without lists whose key is an integer, which is the same on the wire.
    unconverted: tuple[type, ...] | None


def _kind(envelope: type[Envelope]) -> _Kind:
    declared: dict[str, Any] = {field.name: field.type for field in fields(envelope)}
    keys = tuple(name for name, kind in declared.items() if kind in (Key, Keys, KeyLists))
    numbers, texts = (
        tuple(of_key if kind is Key else get_origin(kind) or kind for kind in declared.values())
        for of_key in (int, str)
    )
    has_lists = any(declared[name] is not Key for name in keys)
    return _Kind(envelope, tuple(declared), keys, (numbers, texts), None if has_lists else numbers)


def _to_wire(value: Any) -> Any:
    return [_to_wire(part) for part in value] if isinstance(value, (list, tuple)) else users.wire_id(value)


def _from_wire(value: Any) -> Any:
    return [_from_wire(part) for part in value] if isinstance(value, list) else users.key_from_wire(value)


_KINDS = {
    envelope.KIND: _kind(envelope)
    for envelope in (
        RevisionEnvelope,
        AnnouncementEnvelope,
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
    types = tuple(map(type, values))
    if types not in kind.types:
        raise TypeError(f"malformed {message['type']}: {message!r:.200}")
    envelope = kind.envelope(*values)
    if types != kind.unconverted:
        for name in kind.keys:
            setattr(envelope, name, _from_wire(getattr(envelope, name)))
    return envelope
