"""The user model in raw SQL: a project's own may have any table and column names, even keywords, and several tables."""

from typing import Any

from django.db import connection

from messaging import names, users


def actor_name() -> str:
    """Return what a query with `join_actor` selects as an actor's name, for `names.put` to complete."""
    if not names.is_column():
        return "''"
    return f"a{len(_parents())}.{quoted(_name_field().column)}"


def join_actor(rows: str) -> str:
    """Return the join of the users referenced by these rows' actor_id, down to the table with their name."""
    if not names.is_column():
        return ""
    child: Any = users.concrete_model()
    joins = [
        f"LEFT JOIN {quoted(child._meta.db_table)} a0 ON a0.{quoted(child._meta.pk.column)} = {rows}.actor_id"
    ]
    for number, parent in enumerate(_parents(), start=1):
        link = child._meta.parents[parent]
        own, key = quoted(link.column), quoted(link.target_field.column)
        joins.append(
            f"LEFT JOIN {quoted(parent._meta.db_table)} a{number} ON a{number}.{key} = a{number - 1}.{own}"
        )
        child = parent
    return " ".join(joins)


def _name_field() -> Any:
    return users.concrete_model()._meta.get_field(users.name_field())


def _parents() -> list[Any]:
    """Return the parents of a child model, up to the one that has the name."""
    return users.concrete_model()._meta.get_base_chain(_name_field().model)


def quoted(name: object) -> str:
    return connection.ops.quote_name(str(name))
