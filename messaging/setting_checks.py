"""System checks of a table of settings, this app's or another's: wrong values, and names that no row has."""

from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004  Django's name for it

from .conf import Conf
from .setting_types import DjangoSettings


def wrong_values(table: type[DjangoSettings], check_id: str) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for row in table.invalid():
        value = getattr(settings, row.name)
        found.append(Error(f"{row.name} is {value!r}.", hint=row.refusal(value), id=check_id))
    return found


def unknown_names(table: type[DjangoSettings], check_id: str) -> list[CheckMessage]:
    known = [row.name for row in table.rows()]
    found: list[CheckMessage] = []
    for name in table.unknown():
        [*similar] = get_close_matches(name, known, n=1)
        hint = f"Is {similar[0]} meant?" if similar else f"There are {', '.join(known)}."
        found.append(Warning(f"There is no setting {name}; it has no effect.", hint=hint, id=check_id))
    return found


@register()
def values(**kwargs: Any) -> list[CheckMessage]:
    """The settings DOORBELL_* have the right types, and what they name can be imported."""
    return wrong_values(Conf, "messaging.E006")


@register()
def names(**kwargs: Any) -> list[CheckMessage]:
    """No setting DOORBELL_* is misspelt: a door that seems open or closed would be neither."""
    return unknown_names(Conf, "messaging.W007")
