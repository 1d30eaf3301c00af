"""What a column may hold, checked on every way in: by the API, in a shell, or by bulk_create. Lazy texts are texts."""

from typing import Any

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from messaging import data, texts
from messaging.exceptions import InvalidNotification
from messaging.notification_types import LEVELS
from messaging.texts import SAFE_URL, UNSTORABLE

# As pages show them.
NAMES = {"title": pgettext_lazy("doorbell", "title"), "description": pgettext_lazy("doorbell", "description")}


def plain(text: Any) -> Any:
    """Return a lazy text, a member of TextChoices or a safe string as plain `str`; anything else as it is."""
    if isinstance(text, Promise):
        text = str(text)
    return str.__str__(text) if isinstance(text, str) else text


def safe_url(url: Any) -> str | None:
    """Return the url if a page may link to it: relative to this site, http or https. Else InvalidNotification."""
    url = plain(url)
    if url is None or (isinstance(url, str) and SAFE_URL.fullmatch(url)):
        return url
    raise InvalidNotification(
        _(
            "The url must be relative to this site (/…) or begin with http:// or https://, ASCII only,"
            " up to 500 characters."
        )
    )


def known_level(level: Any) -> Any:
    """Return the level if it is one of the four that clients know. Else InvalidNotification."""
    level = plain(level)
    if level in LEVELS:
        return level
    raise InvalidNotification(
        f"The level must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, not {level!r:.40}."
    )


def checked_text(name: str, text: Any, min_length: int, max_length: int) -> str:
    """Return a text of this length without what could forge a line or reverse one. Else InvalidNotification."""
    text = plain(text)
    if not isinstance(text, str) or not min_length <= len(text) <= max_length:
        given = f"{len(text)} characters" if isinstance(text, str) else f"of type {type(text).__name__}"
        raise InvalidNotification(
            f"The {name} must be a text of {min_length} to {max_length} characters, not {given}."
        )
    if fault := texts.fault_of(text):
        raise InvalidNotification(_("The %(name)s %(fault)s."), name=NAMES.get(name, name), fault=_(fault))
    return text


def checked_title(text: Any) -> str:
    """Return a title that shows something. Else InvalidNotification."""
    checked = checked_text("title", text, 1, 200)
    if not texts.shows_something(checked):
        raise InvalidNotification(_("The title shows nothing: it has only blanks and invisible characters."))
    return checked


class CheckedField(models.CharField):  # type: ignore[type-arg]
    """A CharField that passes every value to `check_value` before storing it. Migrations see a plain CharField."""

    def check_value(self, value: Any) -> Any:
        raise NotImplementedError

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if not hasattr(value, "as_sql"):
            value = self.check_value(value)
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class BoundedTextField(CheckedField):
    """A text that PostgreSQL's column takes, whatever the database: SQLite stores any length, and NUL."""

    def check_value(self, text: Any) -> Any:
        text = plain(text)
        if isinstance(text, str):
            if self.max_length is not None and len(text) > self.max_length:
                raise InvalidNotification(
                    f"The {self.name} must be a text of up to {self.max_length} characters."
                )
            if UNSTORABLE.search(text):
                raise InvalidNotification(
                    f"The {self.name} must contain neither NUL nor halves of surrogate pairs."
                )
        return text


class SafeUrlField(CheckedField):
    def check_value(self, value: Any) -> Any:
        return safe_url(value)


class LevelField(CheckedField):
    def check_value(self, value: Any) -> Any:
        return known_level(value)


class DataField(models.JSONField):
    """A JSON object that any client can read; see messaging/data.py."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if not hasattr(value, "as_sql"):
            value = data.checked(value)
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
