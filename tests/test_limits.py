"""The table "Limits" of docs/operations.md: every row names a module, a test and a setting that exist."""

from pathlib import Path

import pytest

from config.environment import Environment
from messaging import conf as domain
from realtime.conf import Conf

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ["limit", "unit and value", "enforced in", "answer", "setting", "test"]
NONE = "-"
SETTINGS = {row.name for row in (*Environment.rows(), *Conf.rows(), *domain.Conf.rows())}


def limits() -> list[list[str]]:
    """The table's rows: one cell for each column."""
    _, section = (ROOT / "docs" / "operations.md").read_text().split("\n## Limits\n")
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert header == COLUMNS
    return rows


def names(cell: str) -> list[str]:
    """What a cell names: one or several, each as code."""
    return [name.strip("`") if name.count("`") == 2 else f"{name} (not as code)" for name in cell.split(", ")]


def mistakes(row: list[str]) -> list[str]:
    """What is wrong with a row."""
    if len(row) != len(COLUMNS) or not all(row):
        return [f"{len(COLUMNS)} cells that aren't empty are needed"]
    found = [f"{name} is no file" for name in (*names(row[2]), *names(row[5])) if not (ROOT / name).is_file()]
    found += [f"{name} is no test" for name in names(row[5]) if not Path(name).name.startswith("test_")]
    if row[4] != NONE:
        found += [f"{name} is no setting" for name in names(row[4]) if name not in SETTINGS]
    return found


@pytest.mark.parametrize("row", limits(), ids=lambda row: row[0])
def test_a_limit_names_a_module_a_test_and_a_setting_that_exist(row):
    assert mistakes(row) == []


def test_a_limit_stands_there_once():
    names = [row[0] for row in limits()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("column", "cell"),
    [(1, ""), (2, "`realtime/none.py`"), (4, "`REALTIME_NONE`"), (5, "`realtime/conf.py`"), (5, "none")],
)
def test_a_mistake_is_found(column, cell):
    """Negative control."""
    row = list(limits()[0])
    row[column] = cell
    assert mistakes(row)
