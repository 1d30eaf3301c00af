"""The query plans of the statements that a piece of code sends to PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

EXPLAINED = ("SELECT", "WITH", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Scan:
    """One reading of a table: `how` is PostgreSQL's word, `index` its name if there is one."""

    how: str
    table: str
    index: str = ""

    def __str__(self) -> str:
        return f"{self.how} {self.index or self.table}"


@dataclass(frozen=True)
class Statement:
    sql: str
    scans: tuple[Scan, ...]


def statements(run: Callable[[], Any], *, table: str) -> list[Statement]:
    """Run something, and return the statements about this table that it sent on this thread, each with its plan."""
    sent: list[tuple[str, Any]] = []

    def listen(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        sent.append((str(sql), params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        run()
    return [
        Statement(sql, tuple(scan for scan in scans(sql, params) if scan.table == table))
        for sql, params in sent
        if table in sql and sql.lstrip().startswith(EXPLAINED)
    ]


def scans(sql: str, params: Any) -> list[Scan]:
    """Ask for a statement's plan, without running it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        [(plan,)] = cursor.fetchall()
    tree = json.loads(plan) if isinstance(plan, str) else plan
    return list(_scans(tree[0]["Plan"], ""))


def _scans(node: dict[str, Any], table: str) -> Iterator[Scan]:
    kind = node["Node Type"]
    table = node.get("Relation Name", table)
    # A bitmap's heap scan reads what its index scans, which are below it, have found.
    if kind.endswith("Scan") and kind != "Bitmap Heap Scan" and table:
        yield Scan(kind, table, node.get("Index Name", ""))
    for child in node.get("Plans", ()):
        yield from _scans(child, table if kind == "Bitmap Heap Scan" or kind.startswith("Bitmap") else "")
