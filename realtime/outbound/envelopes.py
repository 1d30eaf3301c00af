"""The envelopes that server processes exchange over the channel layer, encoded and decoded here alone.

A hub ignores an unknown kind or version: during a rolling upgrade two versions of the server share the layer.
"""

from collections.abc import Mapping
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
        values = {name: getattr(self, name) for name in _KINDS[self.KIND].fields}
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

    @property
    def group(self) -> str:
        return PRESENCE_GROUP


class _Kind(NamedTuple):
    envelope: type[Envelope]
    fields: dict[str, type]


_KINDS = {
    envelope.KIND: _Kind(
        envelope,
        {field.name: get_origin(field.type) or field.type for field in fields(envelope)},  # type: ignore[misc]
    )
    for envelope in (RevisionEnvelope, RecheckEnvelope, CloseEnvelope, PresenceEnvelope)
}


def decode(message: Mapping[str, Any]) -> Envelope | None:
    """Return the envelope in a message, None for an unknown kind or version. Raises TypeError for a malformed one."""
    kind = _KINDS.get(message.get("type", ""))
    if kind is None or message.get("v") != VERSION:
        return None
    values = [message.get(name) for name in kind.fields]
    if not all(map(_is, values, kind.fields.values())):
        raise TypeError(f"malformed {message['type']}: {message!r:.200}")
    return kind.envelope(*values)


def _is(value: Any, kind: type) -> bool:
    """A list in an envelope holds ids."""
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, int) for item in value)
    return isinstance(value, kind)
