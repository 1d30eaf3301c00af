"""Every migration may run beside servers of the version before, and none holds up a save for longer than a moment."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from messaging.orm.online_index import AddIndexOnline

APPS = ("messaging", "realtime")
# Older than the rule. What it holds up is over within a second for a million rows.
BEFORE_THE_RULE = {("messaging", "0005_presence")}
# What PostgreSQL evaluates once, instead of once for each row.
STABLE = ("STATEMENT_TIMESTAMP",)

TABLE = r'ALTER TABLE "(?P<table>\w+)"'
REFUSED = {
    r'CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)\S+ ON "(?P<table>\w+)"': "no write meanwhile: AddIndexOnline",
    TABLE + r" ADD CONSTRAINT (?!.*NOT VALID)": "the table takes no write while all rows are checked",
    TABLE + r" ADD COLUMN .*(UNIQUE|REFERENCES|PRIMARY KEY)": "an index or a check of all rows comes with the column",
    TABLE + r" ADD COLUMN (?!.*DEFAULT).*NOT NULL": "rows of the version before have no value for it: db_default",
    TABLE + r" .*DROP DEFAULT": "an INSERT of the version before leaves the column out: db_default",
    TABLE + r" ALTER COLUMN \S+ TYPE (?!text\b)": "all rows are written again",
    TABLE + r" .*SET NOT NULL": "all rows are checked under the table's lock",
    TABLE + r" (DROP COLUMN|RENAME)": "the version before still uses it",
    r'DROP TABLE "(?P<table>\w+)"': "the version before still uses it",
    r'(?P<table>)(UPDATE|DELETE|INSERT)\b': "rows that are written are locked until the commit",
    r"(?P<table>).*CANNOT BE WRITTEN AS SQL": "nothing shows what Python does: a command that works in batches",
}  # fmt: skip


def objections(statements: Iterable[str]) -> Iterator[str]:
    created = {table for one in statements for table in re.findall(r'^CREATE TABLE "(\w+)"', one)}
    for statement in statements:
        for pattern, reason in REFUSED.items():
            found = re.match(pattern, statement.removeprefix("-- "), re.DOTALL)
            if found is not None and found["table"] not in created:
                yield f"{statement}: {reason}"
        for function in re.findall(r"ADD COLUMN .*DEFAULT \(?(\w+)\(", statement):
            if function not in STABLE:
                yield f"{statement}: {function} is evaluated for each row, and all are written again"


def sql_of(app: str, name: str, operations: list[object] | None = None) -> list[str]:
    """Return the statements of a migration, or of other operations in its place."""
    loader = MigrationLoader(connection, replace_migrations=False)
    migration = loader.graph.nodes[(app, name)]
    if operations is not None:
        migration.operations = operations
        migration.atomic = False
    return list(loader.collect_sql([(migration, False)]))


def names() -> list[tuple[str, str]]:
    return sorted(
        key for key in MigrationLoader(None, replace_migrations=False).graph.nodes if key[0] in APPS
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("app", "name"), set(names()) - BEFORE_THE_RULE)
def test_a_migration_holds_up_no_save_and_the_version_before_runs_on(app: str, name: str) -> None:
    assert not list(objections(sql_of(app, name)))


def add(field: "models.Field[Any, Any]") -> migrations.AddField:
    return migrations.AddField("notification", "extra", field)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddIndex("notification", models.Index(fields=["level"], name="x")),
        add(models.IntegerField(default=0)),
        add(models.IntegerField(null=True, unique=True)),
        add(models.IntegerField(null=True, db_index=True)),
        add(models.ForeignKey("messaging.message", models.CASCADE, null=True)),
        add(models.FloatField(db_default=models.functions.Random())),
        migrations.AlterField("notification", "title", models.CharField(max_length=100)),
        migrations.AlterField("notification", "url", models.CharField(max_length=500, default="")),
        migrations.AddConstraint(
            "notification", models.CheckConstraint(condition=~models.Q(title=""), name="x")
        ),
        migrations.RemoveField("notification", "level"),
        migrations.RenameField("notification", "level", "severity"),
        migrations.DeleteModel("ApiToken"),
        migrations.RunSQL("UPDATE messaging_notification SET level = 'info'"),
        migrations.RunPython(lambda apps, editor: None),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_holds_up_a_save_or_breaks_the_version_before_is_refused(operation: object) -> None:
    """Negative control."""
    name = [name for app, name in names() if app == "messaging"][-1]
    assert list(objections(sql_of("messaging", name, [operation])))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "operation",
    [
        AddIndexOnline("notification", models.Index(fields=["level"], name="x")),
        add(models.IntegerField(db_default=0)),
        add(models.IntegerField(null=True)),
        add(models.DateTimeField(db_default=models.functions.Now())),
        migrations.CreateModel("Extra", [("id", models.BigAutoField(primary_key=True))]),
        migrations.RemoveIndex("notification", "messaging_living"),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_takes_a_moment_is_allowed(operation: object) -> None:
    name = [name for app, name in names() if app == "messaging"][-1]
    assert not list(objections(sql_of("messaging", name, [operation])))
