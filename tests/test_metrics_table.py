"""The table "Metrics" of docs/operations.md names every metric of GET /metrics, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("realtime/counters.py", "realtime/http/metrics.py")
SUFFIXES = {
    "gauge": "",
    "gauges": "",
    "histogram": "",
    "counter": "_total",
    "labelled_counter": "_total",
    "_counter": "_total",
}
CODE = re.compile(r"`([a-z_]+)(?:\{[a-z,]+\})?`")


def documented() -> list[str]:
    """The names in the first column, without the prefix `doorbell_`."""
    _, section = (ROOT / "docs" / "operations.md").read_text().split("\n## Metrics\n")
    rows = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("| `")]
    return [name for row in rows[1:] for name in CODE.findall(row.split("|")[1])]


def metrics_of(source: str) -> set[str]:
    """The names of the metrics that a module makes, those that need Redis included."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    return {
        ast.literal_eval(call.args[0]) + SUFFIXES[call.func.id]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in SUFFIXES
    }


def test_the_table_names_every_metric_once():
    made = set().union(*(metrics_of((ROOT / source).read_text()) for source in SOURCES))
    assert len(made) > 30
    assert sorted(documented()) == sorted(made)


def test_a_metric_is_found():
    """Negative control."""
    assert metrics_of('yield gauge("new", "Text.", 1)\nold = _counter("old", "Text.")') == {
        "new",
        "old_total",
    }
