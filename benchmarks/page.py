"""docs/performance.md and its chart, written by a full run."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.servers import ROOT

from . import chart
from .bench import Record
from .report import FIGURES, Result, cell, middle, table

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"
# What the chart shows: a scenario, how its case begins, and a figure.
HEADLINES = (
    ("a", "announcement", "frames_per_second"),
    ("b", "frame to", "frames_per_second"),
    ("c", "push to one, nothing stored, as fast", "frames_per_second"),
    ("d", "notify(), 1 writer", "frames_per_second"),
    ("d", "Message.save(), 1 writer", "frames_per_second"),
    ("d", "notify(), 500/s", "p50_ms"),
    ("e", "opening", "sockets_per_second"),
    ("e", "opening", "kib_per_socket"),
)


def write(result: Result, page: Path = PAGE, picture: Path = CHART) -> None:
    """Put the run between the page's markers, and its chart beside the page."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    picture.write_text(chart.draw(panels(result.records), caption(result)))
    page.write_text(f"{before}{BEGIN}\n\n{markdown(result)}\n\n{END}{after}")


def markdown(result: Result) -> str:
    about = result.about
    return "\n".join(
        [
            f"A {about['size']} run on {about['date'][:10]}: {about['processor']}, {about['cores']} cores, "
            f"{about['memory_gib']} GiB, {about['pinned']}; {about['seconds'] / 60:.0f} minutes; "
            f"commit {about['commits']['ours']}; "
            + ", ".join(f"{name} {version}" for name, version in about["packages"].items())
            + ".",
            "",
            "![The medians of the main figures](performance.svg)",
            "",
            "Medians of the rounds, their range in brackets. `≥`: the load client was short of CPU.",
            table(result),
        ]
    )


def caption(result: Result) -> str:
    return (
        f"{result.about['size']} run of {result.about['date'][:10]}, commit {result.about['commits']['ours']}"
    )


def panels(records: Sequence[Record]) -> list[chart.Panel]:
    return [panel for headline in HEADLINES if (panel := panel_of(records, *headline))]


def panel_of(records: Sequence[Record], scenario: str, beginning: str, figure: str) -> chart.Panel | None:
    chosen = [one for one in records if one.scenario == scenario and one.case.startswith(beginning)]
    if not chosen:
        return None
    of_case = [one for one in chosen if one.case == chosen[0].case]
    bars = []
    for name in dict.fromkeys(one.subject for one in of_case):
        of_subject = [one for one in of_case if one.subject == name]
        value = middle(figure, of_subject)
        if value is not None:
            bars.append(chart.Bar(name, value, cell(figure, of_subject), is_ours=name == "ours"))
    return chart.Panel(f"{chosen[0].case}: {FIGURES[figure]}", bars)
