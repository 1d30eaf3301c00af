"""The names of indexes and constraints: a project that Doorbell is installed in may have any others of its own."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddConstraint, AddIndex, CreateModel

LABELS = ["messaging", "realtime"]
# What has no name of its own on SQLite.
UNNAMED = ("sqlite_autoindex_", "__primary__", "__unnamed_constraint_", "fk_")


def named_by(operation):
    if isinstance(operation, CreateModel):
        return [*operation.options.get("indexes", ()), *operation.options.get("constraints", ())]
    return [getattr(operation, part) for part in ("index", "constraint") if hasattr(operation, part)]


def nested(operations):
    for operation in operations:
        yield operation
        yield from nested(getattr(operation, "database_operations", ()))
        yield from nested(getattr(operation, "state_operations", ()))


@pytest.mark.parametrize("label", LABELS)
def test_every_index_and_constraint_of_a_model_begins_with_the_apps_label(label):
    metas = [model._meta for model in apps.get_app_config(label).get_models()]
    names = [named.name for meta in metas for named in (*meta.indexes, *meta.constraints)]

    assert [name for name in names if not name.startswith(f"{label}_") or len(name) > 30] == []
    # PostgreSQL's tables are in the same namespace.
    assert set(names).isdisjoint(connection.introspection.django_table_names())


@pytest.mark.parametrize("label", LABELS)
def test_so_does_every_one_that_a_migration_creates_even_if_a_later_one_removes_it(label):
    migrations = [each for (app, _), each in MigrationLoader(None).disk_migrations.items() if app == label]
    operations = [operation for each in migrations for operation in nested(each.operations)]
    names = [named.name for operation in operations for named in named_by(operation)]

    assert [name for name in names if not name.startswith(f"{label}_")] == []
    if label == "messaging":
        assert {AddIndex, AddConstraint, CreateModel} <= {type(operation) for operation in operations}
        assert "messaging_passing" in names


@pytest.mark.django_db
@pytest.mark.parametrize("label", LABELS)
def test_so_does_every_one_in_the_database(label):
    tables = [model._meta.db_table for model in apps.get_app_config(label).get_models()]
    with connection.cursor() as cursor:
        names = {name for table in tables for name in connection.introspection.get_constraints(cursor, table)}

    assert names
    assert {name for name in names if not name.startswith((f"{label}_", *UNNAMED))} == set()
