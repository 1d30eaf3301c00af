"""The command line of a module that writes one generated file."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def write_or_check(
    arguments: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    path: Path,
    text: Callable[[], str],
) -> int:
    """Write `text()` to `path` if that differs; with `--check` only compare. Returns the exit code."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if the file isn't current"
    )
    checking = parser.parse_args(arguments).check
    made = text()
    if path.exists() and path.read_text() == made:
        return 0
    if checking:
        print(f"{path} isn't current: run `make contract`", file=sys.stderr)
        return 1
    path.write_text(made)
    print(f"wrote {path}")
    return 0
