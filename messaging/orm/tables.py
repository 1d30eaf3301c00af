"""What an error of the database says: that it lacks tables, that its pool is full, or that it is away."""

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from django.db import InterfaceError, OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from . import pools
from .retry import sqlstate

# PostgreSQL: undefined table, undefined column.
MISSING = {"42P01", "42703"}
SQLITE_MISSING = ("no such table", "no such column", "has no column named")
WHAT_TO_DO = "The database lacks tables or columns that Doorbell needs: run `manage.py migrate`."


def unapplied(database: Any, apps: Collection[str]) -> list[str]:
    """Return the migrations that these apps, and what they depend on, still need: `messaging.0001_initial`.

    Asks over this connection alone, of a pool or not.
    """
    with _by_alias(database):
        executor = MigrationExecutor(database)
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] in apps]
        plan = executor.migration_plan(targets)
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


@contextlib.contextmanager
def _by_alias(database: Any) -> Iterator[None]:
    """Have this thread find the connection under its alias, too.

    Django's recorder looks there, and would open the thread's own, which may wait for a place in a full pool, and which
    a thread that ends never gives back.
    """
    usual = connections[database.alias]
    if usual == database:  # or `database` is a proxy of it
        yield
        return
    connections[database.alias] = database
    try:
        yield
    finally:
        connections[database.alias] = usual


def has_columns(database: Any, model: type[Model]) -> bool:
    """Return whether the table has all of a model's columns: between two migrations it may not."""
    table = model._meta.db_table
    with database.cursor() as cursor:
        if table not in database.introspection.table_names(cursor):
            return False
        found = {column.name for column in database.introspection.get_table_description(cursor, table)}
    return {field.column for field in model._meta.concrete_fields} <= found


def is_missing_table(error: BaseException | None) -> bool:
    """Return whether an error says that a table or a column doesn't exist."""
    return sqlstate(error) in MISSING or any(text in str(error) for text in SQLITE_MISSING)


def is_unavailable(error: BaseException | None) -> bool:
    """Return whether the database is at fault, and not what it was asked: the same may succeed later."""
    return isinstance(error, (OperationalError, InterfaceError)) or is_missing_table(error)


def what_failed(error: BaseException | None) -> str:
    """Return the beginning of a log line about an error of the database."""
    if is_missing_table(error):
        return "database not migrated (manage.py migrate)"
    return "database pool full" if pools.is_exhausted(connection, error) else "database unavailable"


def explain(error: BaseException) -> None:
    """Add to an error of a missing table what is to be done, below the last line of its traceback."""
    if is_missing_table(error) and WHAT_TO_DO not in getattr(error, "__notes__", ()):
        error.add_note(WHAT_TO_DO)
