"""What people see and search as a user's name, `username` on the wire: what DOORBELL_NAME says, or else the name with
which they sign in, unless that is an e-mail address, which others don't see.

The name with which a user signs in is a column, which SQL reads with the rows. Any other is made in Python, in one more
query for all rows: SQL then selects an empty text, so that no address leaves where the call of this module is missing.
"""

import functools
import logging
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.db.models import CharField, Expression, F, Q, QuerySet, TextField, Value

from . import logins, users
from .conf import conf
from .exceptions import AmbiguousName, NotSearchable

logger = logging.getLogger(__name__)

# How many users whose names contain a text are looked at for one that is called just that.
MAX_CANDIDATES = 200
NAME_FIELDS = ("first_name", "last_name", "full_name", "name")
NUMBERED = re.compile(r"user (.+)")


class Name:
    """A project's own names: a class that inherits from this is named by DOORBELL_NAME."""

    def name(self, user: Any) -> str:
        """Return what others see of this user. If it is empty, they see `user <id>`."""
        raise NotImplementedError

    def search(self, users: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Return those of these users whose name contains the text. Without this method they can't be searched."""
        raise NotSearchable


class Username(Name):
    """The name with which they sign in, also where that is an e-mail address."""

    def name(self, user: Any) -> str:
        return users.name_of(user)

    def search(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        return logins.search(rows, text)


class FullName(Name):
    """The full name, unless it holds an address, too."""

    def name(self, user: Any) -> str:
        full_name = str(user.get_full_name()) if hasattr(user, "get_full_name") else ""
        return "" if "@" in full_name else full_name

    def search(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        condition = Q()
        for word in text.split():
            condition &= functools.reduce(
                Q.__or__, (Q(**{f"{f}__icontains": word}) for f in _fields()), Q(pk__in=[])
            )
        # A text with an address would find whose it is.
        hidden = functools.reduce(
            Q.__or__, (Q(**{f"{field}__contains": "@"}) for field in _fields()), Q(pk__in=[])
        )
        numbered = NUMBERED.fullmatch(text)
        key = users.key_of(numbered[1]) if numbered else None
        return (
            rows.filter((condition & ~hidden) | Q(pk=key))
            if key is not None
            else rows.filter(condition & ~hidden)
        )


class _Function(Name):
    """A project's function `(user) -> str`."""

    def __init__(self, function: Callable[[Any], str]) -> None:
        self.function = function

    def name(self, user: Any) -> str:
        return self.function(user)


def of(user: Any) -> str:
    """Return what others see of a user."""
    naming = _naming()
    return users.name_of(user) if naming is None else _named(naming, user)


def column(through: str = "") -> str | Expression:
    """Return what values_list() selects as the name of the user at this key, for `reader` to complete."""
    return f"{through}{users.name_field()}" if is_column() else Value("", output_field=CharField())


def expression(through: str = "") -> Any:
    """Return the same for a name of its own in values(), for `put` to complete."""
    selected = column(through)
    return F(selected) if isinstance(selected, str) else selected


def is_column() -> bool:
    """Return whether the name is the column of the name with which users sign in."""
    return _naming() is None


def reader(keys: Collection[Any]) -> Callable[[Any, Any], str]:
    """Return the function that makes a name of a key, one of these, and of what `column` selected with it."""
    naming = _naming()
    if naming is None:
        return lambda key, selected: str(selected or "")
    wanted = {key for key in keys if key is not None}
    names = (
        {user.pk: _named(naming, user) for user in users.everybody().filter(pk__in=wanted)} if wanted else {}
    )
    return lambda key, selected: names.get(key, "")


def put(rows: Iterable[dict[str, Any]], **names: str) -> None:
    """Complete rows that were selected with `column`: `actor_id="actor_username"` puts that actor's name there."""
    if is_column():
        return
    rows = list(rows)
    name = reader({row[key] for row in rows for key in names})
    for row in rows:
        for key, target in names.items():
            row[target] = name(row[key], None)


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Return those of these users whose name contains the text. Raises NotSearchable."""
    naming = _naming() or Username()
    if not hasattr(naming, "search"):
        raise NotSearchable
    return naming.search(rows, text)


def find(rows: QuerySet[Any], name: str, is_meant: Callable[[Any], bool]) -> Any:
    """Return the one of these users who is called so and is meant, or None. Raises AmbiguousName and NotSearchable."""
    if is_column():
        user = logins.with_login_name(rows, name)
        return user if user is not None and is_meant(user) else None
    candidates = list(search(rows, name).order_by("pk")[: MAX_CANDIDATES + 1]) if name else []
    found = [user for user in candidates if of(user) == name and is_meant(user)]
    if len(found) > 1 or (len(candidates) > MAX_CANDIDATES and not found):
        raise AmbiguousName
    return found[0] if found else None


def _named(naming: Name, user: Any) -> str:
    try:
        name = str(naming.name(user) or "").strip()
    except Exception:
        logger.exception("DOORBELL_NAME failed for user=%s, who is shown without a name; mend it", user.pk)
        name = ""
    return name or f"user {user.pk}"


def _naming() -> Name | None:
    """Return how names are made; None if they are a column."""
    chosen = conf.name
    if chosen is None:
        return FullName() if not users.signs_in_by_name() else None
    return _made(chosen)


@functools.cache
def _made(chosen: Any) -> Name | None:
    if chosen is Username and users.has_text_names():
        return None
    return chosen() if isinstance(chosen, type) and hasattr(chosen, "name") else _Function(chosen)


def _fields() -> list[str]:
    fields = users.model()._meta.concrete_fields
    return [
        field.name
        for field in fields
        if field.name in NAME_FIELDS and isinstance(field, (CharField, TextField))
    ]
