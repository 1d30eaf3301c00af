"""The figures of a run: JSON, and the tables with medians, ranges and ratios."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.live.servers import ROOT

from .bench import Bench, Record
from .cores import MAX_CLIENT_SHARE
from .services import memory_gib

PACKAGES = (
    "django",
    "channels",
    "channels-redis",
    "uvicorn",
    "uvloop",
    "psycopg",
    "python-socketio",
    "redis",
)
# Of each case: the figures that are shown, with their unit, in this order.
FIGURES = {
    "writes_per_second": "writes/s",
    "frames_per_second": "frames/s",
    "p50_ms": "commit → frame p50, ms",
    "p99_ms": "p99, ms",
    "call_p50_ms": "call → frame p50, ms",
    "call_ms": "the caller waits, ms",
    "writer_cpu_us": "writer CPU, µs a write",
    "server_cpu_us": "server CPU, µs",
    "postgresql_cpu_us": "PostgreSQL CPU, µs",
    "wal_bytes": "WAL, bytes a write",
    "sockets_per_second": "sockets/s",
    "slowest_s": "slowest, s",
    "kib_per_socket": "KiB a socket",
    "opening_stall_ms": "stall while all connect, ms",
    "announcement_stall_ms": "stall in an announcement, ms",
    "closing_stall_ms": "stall while all leave, ms",
    "idle_server_percent": "server CPU while idle, %",
    "idle_postgresql_percent": "PostgreSQL CPU while idle, %",
    "lost": "lost",
}


@dataclass(frozen=True)
class Result:
    about: dict[str, Any]
    records: Sequence[Record]

    @classmethod
    def of(cls, bench: Bench, letters: Sequence[str], seconds: float) -> "Result":
        about = {
            "size": bench.sizes.name,
            "sizes": dataclasses.asdict(bench.sizes),
            "scenarios": list(letters),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds),
            "cores": os.cpu_count(),
            "pinned": str(bench.cores),
            "load_average": os.getloadavg(),
            "memory_gib": round(memory_gib()),
            "processor": processor(),
            "python": platform.python_version(),
            "commits": {one.name: commit(one.folder) for one in bench.own},
            "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
            "postgresql": str(list(bench.postgres.settings)),
        }
        return cls(about, bench.records)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit(folder: Path) -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def write_json(result: Result, path: Path | None) -> Path:
    path = path or ROOT / "var" / "bench.json"
    records = [dataclasses.asdict(record) for record in result.records]
    path.write_text(json.dumps({"about": result.about, "records": records}, indent=1) + "\n")
    return path


def table(result: Result) -> str:
    lines = []
    for scenario, case in dict.fromkeys((one.scenario, one.case) for one in result.records):
        of_case = [one for one in result.records if (one.scenario, one.case) == (scenario, case)]
        lines += [f"\n({scenario}) {case}\n", *case_table(of_case)]
    return "\n".join(lines)


def case_table(records: Sequence[Record]) -> list[str]:
    subjects = list(dict.fromkeys(one.subject for one in records))
    figures = [name for name in FIGURES if any(name in one.values for one in records)]
    first, *others = subjects
    heads = [*subjects, *(f"{first} : {other}" for other in others)]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for figure in figures:
        by_subject = {name: [one for one in records if one.subject == name] for name in subjects}
        cells = [cell(figure, by_subject[name]) for name in subjects]
        cells += [ratio(figure, by_subject[first], by_subject[other]) for other in others]
        lines.append(f"| {FIGURES[figure]} | {' | '.join(cells)} |")
    return lines


def ratio(figure: str, records: Sequence[Record], others: Sequence[Record]) -> str:
    ours, theirs = middle(figure, records), middle(figure, others)
    return f"{ours / theirs:.2f}" if ours is not None and theirs else ""


def middle(figure: str, records: Sequence[Record]) -> float | None:
    values = [one.values[figure] for one in records if figure in one.values]
    return median(values) if values else None


def cell(figure: str, records: Sequence[Record]) -> str:
    """The median, and the range of the rounds. `≥`: the load client measured itself."""
    values = sorted(one.values[figure] for one in records if figure in one.values)
    if not values:
        return ""
    busy = any(one.values.get("client_cpu", 0) > MAX_CLIENT_SHARE for one in records)
    sign = "≥ " if busy and figure.endswith("per_second") else ""
    text = f"{sign}{number(median(values))}"
    return text if values[0] == values[-1] else f"{text} ({number(values[0])}-{number(values[-1])})"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
