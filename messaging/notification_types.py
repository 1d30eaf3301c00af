"""The registry of notification types: one declaration here is all that a new type needs.

A type that comes from a model needs a receiver as well; no migration, no JavaScript.
Another app declares its types in its AppConfig.ready(), by `register(NotificationType(...))`.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from django.utils.functional import Promise

from . import actions as actions_module
from .actions import Action
from .exceptions import DuplicateNotificationType, UnknownNotificationType

Level = Literal["info", "success", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
# The width of its column.
MAX_NAME_LENGTH = 50
DEFAULT_ICON = "bell"


@dataclass(frozen=True, kw_only=True)
class NotificationType:
    """A kind of notification: `name` is stored and sent, `label` is shown.

    A type with `counts=False` informs, like a receipt: created as read, it toasts and stays in the list, but doesn't
    count as unread. `presence_like` types are ephemeral as well: removed after a day. A type that isn't `blockable`
    reaches also a user who has blocked its actor: it comes from the installation, not from that person.
    One that isn't `sendable` belongs to a receiver, and the admin doesn't offer it. `icon` is a name for clients, and
    `actions` are what its notifications offer to do.
    """

    name: str
    label: str
    level: Level = "info"
    icon: str = DEFAULT_ICON
    counts: bool = True
    presence_like: bool = False
    blockable: bool = True
    sendable: bool = True
    actions: tuple[Action, ...] = ()

    @property
    def is_created_read(self) -> bool:
        """Whether its notifications are stored as read: an inbox counts its unread rows, whatever their type."""
        return self.presence_like or not self.counts


_types: dict[str, NotificationType] = {}


def register(notification_type: NotificationType) -> NotificationType:
    """Declare a type and return it. Raises DuplicateNotificationType if a different one has its name.

    One that no notification could be made of raises TypeError or ValueError, here and not at each `notify`.
    """
    _check(notification_type)
    known = _types.setdefault(notification_type.name, notification_type)
    if known != notification_type:
        raise DuplicateNotificationType(f"The notification type {known.name!r} is declared already.")
    return notification_type


def _check(declared: Any) -> None:
    if not isinstance(declared, NotificationType):
        example = 'register(NotificationType(name="invoice_paid", label="Invoice paid"))'
        raise TypeError(f"register() takes a NotificationType, not {declared!r:.60}: {example}.")
    name: Any = declared.name
    label: Any = declared.label
    icon: Any = declared.icon
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise ValueError(
            f"A notification type's name has 1 to {MAX_NAME_LENGTH} characters, not {name!r:.80}."
        )
    if "\0" in name:
        raise ValueError(f"A notification type's name has no NUL, which PostgreSQL doesn't store: {name!r}.")
    if declared.level not in LEVELS:
        raise ValueError(
            f"The notification type {name!r} has the level {declared.level!r}; levels are: {', '.join(LEVELS)}."
        )
    if not (isinstance(label, (str, Promise)) and isinstance(icon, str)):
        raise TypeError(f"The notification type {name!r} needs texts for its label and icon.")
    try:
        actions_module.check(declared.actions)
    except (TypeError, ValueError) as error:
        raise type(error)(f"The notification type {name!r}: {error}.") from None


def find(name: str) -> NotificationType | None:
    """Return the type of that name; None for one that isn't declared any more."""
    return _types.get(name)


def get(name: str) -> NotificationType:
    """Return the type of that name. Raises UnknownNotificationType."""
    try:
        return _types[name]
    except (KeyError, TypeError):
        if isinstance(name, NotificationType):
            raise UnknownNotificationType(
                f"Give the type's name, {name.name!r}, not the type itself."
            ) from None
        known = ", ".join(sorted(_types))
        raise UnknownNotificationType(
            f"There is no notification type {name!r}; declared are: {known}."
        ) from None


def all_types() -> list[NotificationType]:
    """Return every declared type, in the order of declaration."""
    return list(_types.values())


NEW_MESSAGE = register(
    NotificationType(name="new_message", label="New message", icon="envelope", sendable=False)
)
MESSAGE_READ = register(
    NotificationType(
        name="message_read", label="Message read", level="success", icon="check", counts=False, sendable=False
    )
)
USER_ONLINE = register(
    NotificationType(
        name="user_online", label="User online", level="success", icon="user", presence_like=True
    )
)
USER_OFFLINE = register(
    NotificationType(name="user_offline", label="User offline", icon="user", presence_like=True)
)
ANNOUNCEMENT = register(
    NotificationType(name="announcement", label="Announcement", icon="megaphone", blockable=False)
)
