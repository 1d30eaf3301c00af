"""What the domain needs of the project's settings."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.database)
def isolation_level(**kwargs: Any) -> list[CheckMessage]:
    """Stamping reads what was committed while it waited for a lock: only READ COMMITTED shows that."""
    errors: list[CheckMessage] = []
    for alias, options in settings.DATABASES.items():
        level = options.get("OPTIONS", {}).get("isolation_level")
        if level is not None and getattr(level, "name", str(level)) not in ("READ_COMMITTED", "2"):
            errors.append(
                Error(
                    f"The database {alias!r} has another isolation level than READ COMMITTED.",
                    hint="Remove isolation_level from its OPTIONS: notifications would get lost.",
                    id="messaging.E001",
                )
            )
    return errors
