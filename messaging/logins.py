"""Finds users by the name with which they sign in, as programs, commands and the admin give it."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Collate

from . import users


def named(name: str) -> Any:
    """Return the active user with this name, or None."""
    user = with_login_name(users.active(), name)
    return user if user is not None and users.is_active(user) else None


def with_login_name(rows: QuerySet[Any], name: str) -> Any:
    """Return the one of these users who signs in with this name, or None."""
    try:
        return rows.filter(**{users.name_field(): name}).first()
    except (ValidationError, ValueError, TypeError, OverflowError):  # the field isn't a text
        return None


def given(text: str, among: QuerySet[Any] | None = None) -> Any:
    """Return the active user, or the one among these, whom a command's argument names: a name, or `id:<key>`; or None.

    A name is looked for first, since it may begin with `id:`.
    """
    rows = users.active() if among is None else among
    user = with_login_name(rows, text)
    if (
        user is None
        and text.startswith("id:")
        and (key := users.key_of(text.removeprefix("id:"))) is not None
    ):
        user = rows.filter(pk=key).first()
    return user if among is not None or (user is not None and users.is_active(user)) else None


def ids_by_name(names: Collection[str]) -> dict[str, Any]:
    """Return the ids of the active users with these names, by the name as it was given."""
    field = users.name_field()
    if not users.has_text_names():
        return {name: user.pk for name in names if (user := named(name)) is not None}
    rows = dict(users.active().filter(**{f"{field}__in": names}).values_list(field, "pk"))
    found = {name: rows[name] for name in names if name in rows}
    if len(found) < len(names) and _compares_loosely():
        # The stored spelling isn't the given one.
        for name in set(names) - set(found):
            if (user := users.active().filter(**{field: name}).first()) is not None:
                found[name] = user.pk
    left_out = users.inactive(found.values())
    return {name: pk for name, pk in found.items() if pk not in left_out}


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Return those of these users whose name contains the text, without regard to case."""
    field = users.name_field()
    if connection.vendor == "postgresql" and getattr(
        users.model()._meta.get_field(field), "db_collation", None
    ):
        # Before version 18 its LIKE refuses the collations that compare without case.
        rows, field = (
            rows.alias(name_in_default_collation=Collate(field, "default")),
            "name_in_default_collation",
        )
    return rows.filter(**{f"{field}__icontains": text})


def _compares_loosely() -> bool:
    """Return whether two spellings may be one name: the column has a collation of its own, or is of type citext."""
    field = users.model()._meta.get_field(users.name_field())
    return bool(getattr(field, "db_collation", None)) or field.db_type(connection) == "citext"


def may_be_login_name(text: str) -> bool:
    """Return whether someone may sign in with this: Django fails over a text where the names are numbers."""
    if users.has_text_names():
        return True
    try:
        users.model()._meta.get_field(users.name_field()).to_python(text)
    except (ValidationError, ValueError, TypeError):
        return False
    return True
