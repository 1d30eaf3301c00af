"""docs/checks.md has a row for each system check, and each is found by some test."""

import re

from tests.live.servers import ROOT

ID = re.compile(r"\b(?:messaging|realtime)\.[EW]\d{3}\b")
ROWS = re.findall(r"^\| `([\w.]+)`( [ᵈᵇ])? \|", (ROOT / "docs/checks.md").read_text(), re.MULTILINE)


def ids_in(*patterns: str) -> set[str]:
    files = [file for pattern in patterns for file in ROOT.glob(pattern)]
    return {name for file in files for name in ID.findall(file.read_text())}


def test_each_check_has_a_row() -> None:
    code = {
        name
        for app in ("messaging", "realtime")
        for file in (ROOT / app).rglob("*.py")
        if "tests" not in file.parts
        for name in re.findall(r'"((?:messaging|realtime)\.[EW]\d{3})"', file.read_text())
    }
    assert len(code) > 30
    assert sorted(name for name, _ in ROWS) == sorted(code)


def test_each_check_is_found_by_a_test() -> None:
    tested = ids_in("*/tests/*.py", "tests/**/*.py")
    assert [name for name, _ in ROWS if name not in tested] == []
