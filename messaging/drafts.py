"""What is to be notified of, checked, and written out for each recipient: in their language, once for each.

Checked before anything is stored. What is stored is never rendered again.
"""

import copy
import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messaging.orm.fields import checked_text, checked_title, known_level, safe_url

from . import data as data_module
from . import languages, names, notification_types, users
from .exceptions import InvalidNotification
from .models import Message, Notification
from .notification_types import ACTOR, COUNT, MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH, RECIPIENT
from .references import User, message_id, user_id
from .text_templates import Text, TextTemplate
from .texts import printable

MAX_NAME_LENGTH = 150
MAX_KEY_LENGTH = 200
LENGTHS = {"title": MAX_TITLE_LENGTH, "description": MAX_DESCRIPTION_LENGTH}


class Recipients:
    """What texts depend on of these users: read when it is first needed, of all of them at once."""

    def __init__(self, user_ids: Collection[Any], profiles: Mapping[Any, str | None] | None = None) -> None:
        """`profiles`: the languages of those profiles that have been read already."""
        self._user_ids, self._profiles = user_ids, profiles or {}
        self._languages: dict[Any, str] | None = None
        self._users: dict[Any, Any] | None = None

    def language_of(self, user_id: Any) -> str:
        if self._languages is None:
            self._languages = languages.of(set(self._user_ids), self._profiles)
        return self._languages.get(user_id) or settings.LANGUAGE_CODE

    def name_of(self, user_id: Any) -> str:
        if self._users is None:
            self._users = users.everybody().in_bulk(set(self._user_ids))
        return shown_name(self._users.get(user_id))


class Draft:
    """A notification without its recipient. Raises InvalidNotification and UnknownNotificationType when it is made."""

    def __init__(
        self,
        notification_type: str,
        title: Text | None = None,
        description: Text = "",
        *,
        level: str | None = None,
        url: Text | None = None,
        actor: User | None = None,
        message: Message | int | None = None,
        dedupe_key: Text | None = None,
        data: Any = None,
    ) -> None:
        declared = self._declared = notification_types.get(notification_type)
        if title is None and declared.title is None:
            raise InvalidNotification(
                _("A title is needed: the notification type %(type)r has none of its own."),
                type=declared.name,
            )
        self._title, self._description = title, description
        # The type's own, of what isn't given.
        self._templates = {
            part: template
            for part, template in declared.templates.items()
            if (part == "title" and title is None) or (part == "description" and description == "")
        }
        self._given, self._actor = data, actor
        self._data, self._has_lazy_data = data_module.fitting(data, declared.data)
        checked = {**self._templates}
        if "group_title" in declared.templates:
            checked["group_title"] = declared.templates["group_title"]
        given_names = (self._data or {}).keys()
        self._used = set[str]().union(*(template.names for template in checked.values())) - given_names
        actor_id = None if actor is None else user_id(actor, ACTOR)
        if ACTOR in self._used:
            self._actor = _user(actor, actor_id)
        self._check(checked)
        self._common = {
            "notification_type": declared.name,
            "level": known_level(declared.level if level is None else level),
            "url": safe_url(url),
            "actor_id": actor_id,
            "message_id": None if message is None else message_id(message),
            "is_read": declared.is_created_read,
            "dedupe_key": None
            if dedupe_key is None
            else checked_text("dedupe_key", dedupe_key, 1, MAX_KEY_LENGTH),
            "group_key": self._group_key(),
        }
        # What each recipient is to get, by the language and the name that it depends on.
        self._made: dict[tuple[str, str | None], dict[str, Any]] = {}
        if not self.has_languages:
            self._made["", None] = self._columns("", None)
        elif not self.is_personal:
            self._columns_in(settings.LANGUAGE_CODE)

    @property
    def dedupe_key(self) -> str | None:
        key: str | None = self._common["dedupe_key"]
        return key

    @property
    def is_personal(self) -> bool:
        """Whether a text has the recipient's name, so that each gets another one."""
        return RECIPIENT in self._used

    @property
    def has_languages(self) -> bool:
        """Whether the texts depend on the language."""
        return bool(
            self._templates
            or self._has_lazy_data
            or isinstance(self._title, Promise)
            or isinstance(self._description, Promise)
            or any(isinstance(action.label, Promise) for action in self._declared.actions)
        )

    def row(self, user: User, recipients: Recipients | None = None) -> Notification:
        """Return the notification for a user, without storing it. `recipients`: if others are notified as well."""
        key = user_id(user)
        return Notification(user_id=key, **self.columns(key, recipients or Recipients([key])))

    def rows(self, given: Collection[User]) -> list[Notification]:
        """Return the notifications for these users, without storing them."""
        keys = [user_id(user) for user in given]
        recipients, examples, rows = Recipients(keys), dict[int, Notification](), []
        for key in keys:
            columns = self.columns(key, recipients)
            if self.is_personal or (example := examples.get(id(columns))) is None:
                example = examples[id(columns)] = Notification(**columns)
            # A copy takes a third of the time of a new instance.
            row = copy.copy(example)
            row.user_id = key
            rows.append(row)
        return rows

    def columns(self, key: Any, recipients: Recipients) -> dict[str, Any]:
        """Return the columns of this user's notification, but for the user's."""
        if not self.has_languages:
            return self._made["", None]
        name = recipients.name_of(key) if self.is_personal else None
        return self._columns_in(recipients.language_of(key), name)

    def by_columns(self, keys: Collection[Any]) -> Iterator[tuple[Mapping[str, Any], list[Any]]]:
        """Yield the columns of these users' notifications, each with the users who get the same."""
        recipients, same = Recipients(keys), dict[int, tuple[Mapping[str, Any], list[Any]]]()
        for key in keys:
            columns = self.columns(key, recipients)
            same.setdefault(id(columns), (columns, []))[1].append(key)
        yield from same.values()

    def _columns_in(self, language: str, name: str | None = None) -> dict[str, Any]:
        if name is not None:
            with translation.override(language):
                return self._columns(language, name)
        if (language, None) not in self._made:
            with translation.override(language):
                self._made[language, None] = self._columns(language, None)
        return self._made[language, None]

    def _columns(self, language: str, name: str | None) -> dict[str, Any]:
        """Return the columns, in the active language."""
        data = self._data
        if self._has_lazy_data:
            data = data_module.fitting(self._given, self._declared.data)[0]
        filled = {
            part: template.filled(self._values(name, data), LENGTHS[part])
            for part, template in self._templates.items()
        }
        return {
            **self._common,
            "title": checked_title(filled.get("title", self._title)),
            "description": checked_text(
                "description", filled.get("description", self._description), 0, MAX_DESCRIPTION_LENGTH
            ),
            "data": data,
            "language": language[:16],
        }

    def _values(self, recipient: str | None, data: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what places are filled from, in the active language. The data come before the names of people."""
        values = {}
        if ACTOR in self._used and self._actor is not None:
            values[ACTOR] = shown_name(self._actor)
        if recipient is not None:
            values[RECIPIENT] = recipient
        return values | dict(data or {})

    def _check(self, templates: Mapping[str, TextTemplate]) -> None:
        """Raise InvalidNotification if a text can't be filled: so it is refused before anything is stored."""
        if ACTOR in self._used and self._actor is None:
            raise InvalidNotification(
                _("The texts of the notification type %(type)r show the actor: give one who exists."),
                type=self._declared.name,
            )
        values = self._values(RECIPIENT, self._data)
        for part, template in templates.items():
            template.check(part, {**values, COUNT: 1} if part == "group_title" else values)

    def _group_key(self) -> str | None:
        template = self._declared.templates.get("group_by")
        if template is None:
            return None
        data = self._data or {}
        template.check("group_by", data)
        key = template.key(data)
        if len(key) <= MAX_KEY_LENGTH:
            return key
        # Of two long ones that begin alike, each stays its own.
        digest = hashlib.sha256(key.encode()).hexdigest()
        return f"{key[: MAX_KEY_LENGTH - len(digest) - 1]}:{digest}"


def shown_name(user: Any) -> str:
    """Return a user's name, shortened and cleaned to fit into a title: a project's user model may allow any."""
    return "" if user is None else printable(names.of(user)[:MAX_NAME_LENGTH])


def _user(actor: Any, key: Any) -> Any:
    if key is None or isinstance(actor, users.concrete_model()):
        return actor
    return users.everybody().filter(pk=key).first()
