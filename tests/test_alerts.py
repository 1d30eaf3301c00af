"""deploy/alerts.yml, deploy/grafana.json and docs/on-call.md use the metrics and log lines that exist, and no other."""

import ast
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from .test_metrics_table import documented

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "on-call.md").read_text()
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana.json").read_text())
# What the expressions use of PromQL.
FUNCTIONS = {"absent", "histogram_quantile", "increase", "max", "min", "min_over_time", "rate", "sum"}
WORDS = {"and", "by", "or", "unless", "without"}
LABELS = {"code", "instance", "job", "le", "name", "reason", "state", "status", "version"}
CODE = re.compile(r"`([^`]*)`")


@cache
def metrics() -> frozenset[str]:
    """Every name that Prometheus knows after a scrape. (tests/test_metrics_table.py holds the table to the code.)"""
    ours = {f"doorbell_{name}" for name in documented()}
    series = {f"{name}_{part}" for name in ours for part in ("bucket", "count", "sum")}
    process = {family.name for family in ProcessCollector(registry=CollectorRegistry()).collect()}
    return frozenset(ours | series | process | {"up", "process_cpu_seconds_total"})


def faults(expression: str) -> list[str]:
    """Return what isn't known of an expression: its metrics, functions, labels and brackets."""
    found = []
    plain = re.sub(r'"[^"]*"', '""', expression)
    opened: list[str] = []
    for bracket in re.findall(r"[(){}\[\]]", plain):
        if bracket in "({[":
            opened.append(bracket)
        elif not opened or opened.pop() + bracket not in ("()", "{}", "[]"):
            found.append(f"unbalanced {bracket}")
    found += opened
    for matchers in re.findall(r"\{(.*?)\}", plain):
        found += [one for one in matchers.split(",") if not re.fullmatch(r'(\w+)(=|!=|=~|!~)""', one.strip())]
        found += [label for label in re.findall(r"\w+(?=[=!])", matchers) if label not in LABELS]
    plain = re.sub(r"\{.*?\}", "", plain)
    for labels in re.findall(r"\b(?:by|without) \((.*?)\)", plain):
        found += [label for label in re.split(r", *", labels) if label not in LABELS]
    plain = re.sub(r"\b(by|without) \(.*?\)", "", plain)
    found += [time for time in re.findall(r"\[(.*?)\]", plain) if not re.fullmatch(r"\d+[smhd]", time)]
    plain = re.sub(r"\[.*?\]", "", plain)
    for word, call in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\(?)", plain):
        known = FUNCTIONS | WORDS if call else WORDS | metrics()
        if word not in known:
            found.append(word)
    return found


def expressions() -> list[str]:
    targets = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in RULES), *targets]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_is_made_of_what_exists(expression: str) -> None:
    assert faults(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "doorbell_relay_droped_total > 0",
        "raet(doorbell_frames_sent_total[5m])",
        "sum(rate(doorbell_frames_sent_total[5m])",
        "rate(doorbell_frames_sent_total[5])",
        "sum by (user) (doorbell_sockets)",
        'doorbell_sockets{user="1"}',
        "doorbell_sockets{instance=web1}",
        "doorbell_frames_sent > 0",
    ],
)
def test_a_fault_is_found(expression: str) -> None:
    """Negative control."""
    assert faults(expression)


def test_the_rules_have_what_prometheus_wants_of_them() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 10
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s")), rule
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert rule["annotations"]["summary"], rule
        templates = re.findall(r"\{\{(.*?)\}\}", rule["annotations"]["summary"])
        assert set(templates) <= {" $labels.instance ", " $labels.name ", " $labels.code ", " $value "}, rule


def test_the_panels_have_titles_places_and_a_source_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}


def test_every_metric_is_in_a_panel_or_a_rule() -> None:
    used = " ".join(expressions())
    assert [
        name for name in documented() if not re.search(rf"\bdoorbell_{name}(_bucket|_count)?\b", used)
    ] == []


def test_every_metric_that_calls_for_somebody_has_a_rule() -> None:
    """What docs/operations.md says to look at when it rises, or is gone."""
    rules = " ".join(rule["expr"] for rule in RULES)
    watched = {"database_pool_refused_total", "database_pool_wait_seconds_total", "http_requests_total"}
    watched |= {"publish_errors_total", "layer_publish_failures_total", "delivery_seconds_bucket"}
    watched |= {"database_up", "layer_healthy", "presence_lease", "database_older", "relay_waiting"}
    assert [name for name in watched if f"doorbell_{name}" not in rules] == []
    assert any("unless doorbell_oldest_pending_seconds" in rule["expr"] for rule in RULES)


# -- The page --


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_row_has_all_columns() -> None:
    assert {len(row) for row in rows()} == {5}


def test_every_alert_has_its_row_and_no_row_names_another() -> None:
    named = [name for row in rows() for name in re.findall(r"`(Doorbell\w+)`", row[0])]
    assert sorted(named) == sorted(rule["alert"] for rule in RULES)


def test_the_metrics_that_it_names_exist() -> None:
    alone = {"up", "draining", "busy", "degraded", "down", "unmigrated", "expired"}
    for row in rows():
        for name in re.findall(r"`([a-z_]+)(?:\{[^`]*\})?`", row[1]):
            known = {name, f"doorbell_{name}"} & metrics()
            assert known or name in alone | {"too_many_attempts", "rate_limited", "migrate_online"}, name


@cache
def texts() -> str:
    """Every string of the code: a literal over several lines is one."""
    found = []
    for folder in ("messaging", "realtime"):
        for path in (ROOT / folder).rglob("*.py"):
            if "tests" not in path.parts:
                found += [
                    node.value
                    for node in ast.walk(ast.parse(path.read_text()))
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                ]
    return "\n".join(found)


def quoted(cell: str) -> list[str]:
    return [text for text in CODE.findall(cell) if " " in text]


def missing_texts(cells: Iterable[str]) -> list[str]:
    return [text for cell in cells for text in quoted(cell) if text not in texts()]


def test_the_log_lines_that_it_quotes_are_the_codes() -> None:
    assert len([text for row in rows() for text in quoted(row[1])]) > 15
    assert missing_texts(row[1] for row in rows()) == []
    assert missing_texts(["`Redis is gone`"]) == ["Redis is gone"]
