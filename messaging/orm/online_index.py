"""Operations for migrations that hold up no save: on PostgreSQL an index is built while others write.

`messaging/tests/test_migrations_postgresql.py` refuses a migration of ours that does otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import migrations, models


class AddIndexOnline(migrations.AddIndex):
    """AddIndex, by CREATE INDEX CONCURRENTLY on PostgreSQL. Its migration has `atomic = False`.

    It may be run again after a failure: an index that is complete stays, an invalid one is replaced.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor == "postgresql":
            with _without_lock_timeout(schema_editor):
                self._remove_if_invalid(schema_editor, model)
                self._add_if_missing(schema_editor, model, concurrently=True)
        else:
            self._add_if_missing(schema_editor, model)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if self.allow_migrate_model(connection.alias, model):
            concurrently = {"concurrently": True} if connection.vendor == "postgresql" else {}
            schema_editor.remove_index(model, self.index, **concurrently)

    def _remove_if_invalid(self, schema_editor: Any, model: Any) -> None:
        if schema_editor.collect_sql:
            return
        name = schema_editor.connection.ops.quote_name(self.index.name)
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [name]
            )
            is_invalid = cursor.fetchone() is not None
        if is_invalid:
            schema_editor.remove_index(model, self.index, concurrently=True)

    def _add_if_missing(self, schema_editor: Any, model: Any, **options: Any) -> None:
        if not schema_editor.collect_sql:
            connection = schema_editor.connection
            with connection.cursor() as cursor:
                if self.index.name in connection.introspection.get_constraints(cursor, model._meta.db_table):
                    return
        schema_editor.add_index(model, self.index, **options)


class DropIndexOfKey(migrations.AlterField):
    """AlterField of a foreign key to `db_index=False`. Django's would also check the key of every row again."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        column = model._meta.get_field(self.name).column
        named = {index.name for index in model._meta.indexes}
        for name in schema_editor._constraint_names(
            model, [column], index=True, type_=models.Index.suffix, exclude=named
        ):
            schema_editor.execute(schema_editor._delete_index_sql(model, name))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)


@contextmanager
def _without_lock_timeout(schema_editor: Any) -> Iterator[None]:
    """The statement waits for transactions, and none for it. If it gave up, its invalid index would remain."""
    if schema_editor.collect_sql:
        yield
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (before,) = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
