"""The registry of notification types: one declaration here is all that a new type needs.

A type that comes from a model needs a receiver as well; no migration, no JavaScript.
Another app declares its types in its AppConfig.ready(), by `register(NotificationType(...))`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel

from . import actions as actions_module
from .actions import Action
from .exceptions import DuplicateNotificationType, UnknownNotificationType
from .text_templates import Text, TextTemplate

Level = Literal["info", "success", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
# The width of its column.
MAX_NAME_LENGTH = 50
DEFAULT_ICON = "bell"
MAX_TITLE_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 500
# Names of places that aren't of the data.
ACTOR, RECIPIENT, COUNT = "actor", "recipient", "count"


@dataclass(frozen=True, kw_only=True)
class NotificationType:
    """A kind of notification: `name` is stored and sent, `label` is shown.

    A type with `counts=False` informs, like a receipt: created as read, it toasts and stays in the list, but doesn't
    count as unread. `presence_like` types are ephemeral as well: removed after a day. A type that isn't `blockable`
    reaches also a user who has blocked its actor: it comes from the installation, not from that person.
    One that isn't `sendable` belongs to a receiver, and the admin doesn't offer it. `icon` is a name for clients, and
    `actions` are what its notifications offer to do.

    `data`: a pydantic model, which the data of its notifications fit. `title`, `description`: templates for those that
    are given none, filled from the data, the names of `actor` and `recipient`; lazy, for each in their language.

    A type with `group_by`, `"page:%(page_id)s"` say, has groups: unread notifications of which it makes the same become
    one, the newest, unless more than `group_within` lies between two of them. That one's title is `group_title`, in
    which `count` is how many they are.
    """

    name: str
    label: Text
    level: Level = "info"
    icon: str = DEFAULT_ICON
    counts: bool = True
    presence_like: bool = False
    blockable: bool = True
    sendable: bool = True
    actions: tuple[Action, ...] = ()
    data: type[BaseModel] | None = None
    title: Text | None = None
    description: Text | None = None
    group_by: str | None = None
    group_title: Text | None = None
    group_within: timedelta | None = None

    @property
    def is_created_read(self) -> bool:
        """Whether its notifications are stored as read: an inbox counts its unread rows, whatever their type."""
        return self.presence_like or not self.counts

    def title_of_group(
        self, data: Mapping[str, Any] | None, *, actor: str | None, count: int, language: str
    ) -> str | None:
        """Return the title of a notification that stands for so many; None if groups have none of their own.

        `actor`: the name; without one, since the actor has been deleted, a title that shows it can't be made: None.
        Raises InvalidNotification if the data aren't those that were checked.
        """
        template = self.templates.get("group_title")
        values = {**({} if actor is None else {ACTOR: actor}), **(data or {}), COUNT: count}
        if template is None or (ACTOR in template.names and ACTOR not in values):
            return None
        template.check("group's title", values)
        with translation.override(language):
            return template.filled(values, MAX_TITLE_LENGTH)

    @functools.cached_property
    def templates(self) -> dict[str, TextTemplate]:
        """The texts and the key that are filled, by the field's name. Raises ValueError for one that never can be."""
        found = {}
        for part in ("title", "description", "group_by", "group_title"):
            if (text := getattr(self, part)) is not None:
                try:
                    found[part] = TextTemplate(text)
                except ValueError as error:
                    raise ValueError(f"The {part} of the notification type {self.name!r}: {error}") from None
        return found


_types: dict[str, NotificationType] = {}


def register(notification_type: NotificationType) -> NotificationType:
    """Declare a type and return it. Raises DuplicateNotificationType if a different one has its name.

    One that no notification could be made of raises TypeError or ValueError, here and not at each `notify`.
    """
    _check(notification_type)
    _check_templates(notification_type)
    known = _types.setdefault(notification_type.name, notification_type)
    if known is not notification_type and known != notification_type:
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


def _check_templates(declared: NotificationType) -> None:
    """Raise TypeError or ValueError for a text that can never be filled, and for groups that can't be made."""
    for part in ("title", "description", "group_title"):
        text: Any = getattr(declared, part)
        if not isinstance(text, (str, Promise, type(None))):
            raise TypeError(
                f"The {part} of the notification type {declared.name!r} must be a text, not {text!r:.60}."
            )
    if declared.group_by is not None and not isinstance(declared.group_by, str):
        raise TypeError(
            f"The group_by of the notification type {declared.name!r} must be a text that depends on no language."
        )
    shape: Any = declared.data
    if shape is not None and not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        raise TypeError(
            f"The data of the notification type {declared.name!r} must be a pydantic model: a class."
        )
    _check_groups(declared, declared.templates)


def _check_groups(declared: NotificationType, templates: Mapping[str, TextTemplate]) -> None:
    if declared.group_by is None:
        if declared.group_title is not None or declared.group_within is not None:
            raise ValueError(
                f"The notification type {declared.name!r} has no groups: it needs group_by, too."
            )
        return
    if declared.is_created_read:
        raise ValueError(
            f"The notification type {declared.name!r} can't have groups, of which unread ones are made: its "
            "notifications are created as read."
        )
    if reserved := templates["group_by"].names & {ACTOR, RECIPIENT, COUNT}:
        raise ValueError(
            f"The group_by of the notification type {declared.name!r} can only hold data, not {sorted(reserved)}."
        )
    if "group_title" in templates and RECIPIENT in templates["group_title"].names:
        raise ValueError(
            f"The group_title of the notification type {declared.name!r} can't hold the recipient."
        )
    if declared.group_within is not None and declared.group_within <= timedelta():
        raise ValueError(f"The group_within of the notification type {declared.name!r} must be positive.")


def get(name: str) -> NotificationType:
    """Return the type of that name. Raises UnknownNotificationType."""
    try:
        return _types[name]
    except (KeyError, TypeError):
        given: Any = name
        if isinstance(given, NotificationType):
            raise UnknownNotificationType(
                f"Give the type's name, {given.name!r}, not the type itself."
            ) from None
        known = ", ".join(sorted(_types))
        raise UnknownNotificationType(
            f"There is no notification type {name!r}; declared are: {known}."
        ) from None


def makes_titles(name: str) -> bool:
    """Return whether the type of that name has a title of its own."""
    return name in _types and _types[name].title is not None


def all_types() -> list[NotificationType]:
    """Return every declared type, in the order of declaration."""
    return list(_types.values())


NEW_MESSAGE = register(
    NotificationType(
        name="new_message",
        label=_("New message"),
        icon="envelope",
        sendable=False,
        title=_("New message from %(actor)s"),
    )
)
MESSAGE_READ = register(
    NotificationType(
        name="message_read",
        label=_("Message read"),
        level="success",
        icon="check",
        counts=False,
        sendable=False,
        title=_("Message read by %(actor)s"),
    )
)
USER_ONLINE = register(
    NotificationType(
        name="user_online",
        label=_("User online"),
        level="success",
        icon="user",
        presence_like=True,
        title=_("%(actor)s is online"),
    )
)
USER_OFFLINE = register(
    NotificationType(
        name="user_offline",
        label=_("User offline"),
        icon="user",
        presence_like=True,
        title=_("%(actor)s is offline"),
    )
)
ANNOUNCEMENT = register(
    NotificationType(name="announcement", label=_("Announcement"), icon="megaphone", blockable=False)
)
