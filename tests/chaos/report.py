"""The summary of a run, and the table that it writes into docs/reliability.md."""

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .scenario import Result, Scenario

BEGIN, END = "<!-- make chaos writes from here -->", "<!-- to here -->"


@dataclass(frozen=True, slots=True)
class Finished:
    scenario: Scenario
    result: Result
    seconds: float


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def table(finished: Sequence[Finished], *, clients: int, seed: int, seconds: float) -> str:
    """The run as Markdown."""
    today = datetime.datetime.now(datetime.UTC).date()
    met = sum(one.result.met for one in finished)
    head = (
        f"Run on {today}: {machine()}; clients and servers share it. {clients} clients, seed {seed},"
        f" {seconds / 60:.0f} minutes. **{met} of {len(finished)} met.**"
    )
    lines = [
        head,
        "",
        "| test | how | demand | figure | verdict | s |",
        "|---|---|---|---|---|---|",
    ]
    for one in finished:
        cells = (one.scenario.name, one.scenario.how, one.scenario.demand, one.result.figure)
        shown = " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        verdict = str(one.result) if one.result.met else f"**{one.result}**"
        lines.append(f"| {shown} | {verdict} | {one.seconds:.0f} |")
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Put the table between the page's markers."""
    page = path.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
