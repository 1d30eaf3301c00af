"""The user model in raw SQL: a project's own may have any table and column names, even keywords."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection


def actor_name() -> str:
    """Return the column of an actor's username in a query with `join_actor`."""
    user = get_user_model()
    name: Any = user._meta.get_field(user.USERNAME_FIELD)
    return f"a.{_quoted(name.column)}"


def join_actor(rows: str) -> str:
    """Return the join of the users referenced by these rows' actor_id."""
    user = get_user_model()._meta
    return f"LEFT JOIN {_quoted(user.db_table)} a ON a.{_quoted(user.pk.column)} = {rows}.actor_id"


def _quoted(name: str | None) -> str:
    return connection.ops.quote_name(str(name))
