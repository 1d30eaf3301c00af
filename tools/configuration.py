"""Writes docs/configuration.md from the tables of settings: config/environment.py and both apps' conf.py.

`python -m tools.configuration` writes it; with `--check` it only says whether the file is current (exit code 1 if not).
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from config.environment import DJANGO, REAL_TIME, STORES, ComposeVariables, Environment
from messaging import conf as messaging
from messaging.setting_types import Names, Setting
from realtime.conf import Conf
from tools.generated import write_or_check

PATH = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
HEAD = """\
<!-- Made by `make contract` from config/environment.py, messaging/conf.py and realtime/conf.py: don't edit. -->

# Configuration

The server reads these environment variables; [.env.example](../.env.example) is a file to start from. With a value
that isn't accepted it doesn't start, and the error names the variable, the value and what is accepted.

A project of your own ([install.md](install.md)) has no such variables. There `API_RATE_LIMIT`, `METRICS_TOKEN`,
`PASSWORD_HASHES_AT_ONCE`, `SIGN_INS_PER_SECOND` and the `REALTIME_*` below, except `REALTIME_PREFIX`, are Django
settings with these defaults, and lists are Python lists.
`manage.py check` finds wrong types and values (`realtime.E004`, `messaging.E006`).
"""
OWN = "Settings of your project: no environment variables"


def text() -> str:
    """Return the file's text."""
    rows = Environment.rows()
    sections = [
        (title, [row for row in rows if row.section == title] + (Conf.rows() if title == REAL_TIME else []))
        for title in (DJANGO, STORES, REAL_TIME)
    ]
    sections.append(("docker-compose.yml only", ComposeVariables.rows()))
    sections.append((OWN, messaging.Conf.rows()))
    return "\n".join([HEAD, *(table(title, rows) for title, rows in sections)])


def table(title: str, rows: Iterable[Setting[Any]]) -> str:
    lines = [f"## {title}", "", "| variable | accepts | default | |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.accepts} | {default(row)} | {row.meaning} |" for row in rows]
    return "\n".join([*lines, ""])


def default(row: Setting[Any]) -> str:
    if row.default_text:
        return row.default_text
    if isinstance(row, Names):
        names: Any = row.default
        return f"`{','.join(names)}`" if names else "none"
    return f"`{row.default:g}`" if isinstance(row.default, float) else f"`{row.default}`"


def main(arguments: Sequence[str] | None = None) -> int:
    return write_or_check(arguments, prog="tools.configuration", description=__doc__, path=PATH, text=text)


if __name__ == "__main__":
    sys.exit(main())
