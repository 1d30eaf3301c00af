"""A project's own user model, for raw SQL: its table and columns may have any name, also that of a keyword."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection


def actor_name() -> str:
    """The column of an actor's username, where `join_actor` is."""
    user = get_user_model()
    name: Any = user._meta.get_field(user.USERNAME_FIELD)
    return f"a.{_quoted(name.column)}"


def join_actor(rows: str) -> str:
    """The join of the users whose ids are in these rows' actor_id."""
    user = get_user_model()._meta
    return f"LEFT JOIN {_quoted(user.db_table)} a ON a.{_quoted(user.pk.column)} = {rows}.actor_id"


def _quoted(name: str | None) -> str:
    return connection.ops.quote_name(str(name))
