"""Columns that take nothing bad, whoever writes to them: the API, a shell, or bulk_create."""

import re
from collections.abc import Callable
from typing import Any

from django.db import models

from messaging.exceptions import InvalidNotification
from messaging.notification_types import LEVELS

# No backslash: browsers read it as a slash, and "/\host" would be another site.
SAFE_URL = re.compile(r"(?=[!-\[\]-~]{1,500}\Z)(?:https?://[^/].*|/(?!/).*|[?#].*)", re.IGNORECASE)


def safe_url(url: Any) -> str | None:
    """Return a url that a page may link to: relative to this site, http or https. Raises InvalidNotification."""
    if url is None or (isinstance(url, str) and SAFE_URL.fullmatch(url)):
        return url
    raise InvalidNotification(
        "The url must be relative to this site (/…) or begin with http:// or https://, ASCII only,"
        " up to 500 characters."
    )


def known_level(level: Any) -> Any:
    """Return one of the four levels that clients know. Raises InvalidNotification."""
    if level in LEVELS:
        return level
    raise InvalidNotification(f"The level must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}.")


class CheckedField(models.CharField):  # type: ignore[type-arg]
    """Stores what its check lets pass. To migrations a CharField like any other."""

    check_value: Callable[[Any], Any]

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if not hasattr(value, "as_sql"):
            value = self.check_value(value)
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class SafeUrlField(CheckedField):
    check_value = staticmethod(safe_url)


class LevelField(CheckedField):
    check_value = staticmethod(known_level)
