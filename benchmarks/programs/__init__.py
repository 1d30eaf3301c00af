"""Programs that run with the modules of a checkout, this one or another, in processes of their own."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# `benchmarks` is this checkout's, everything else the other's: PYTHONPATH is ROOT until the program is imported.
START = (
    "import importlib, sys; root, folder, name = sys.argv[1:4]; del sys.argv[1:4]; "
    "program = importlib.import_module('benchmarks.programs.' + name); "
    "sys.path[:] = [folder, *(path for path in sys.path if path not in (root, folder))]; program.main()"
)


def command(name: str, folder: Path, *arguments: str) -> list[str]:
    """Return the command that runs a program here with the modules of this folder. It needs `environment()`."""
    return [sys.executable, "-P", "-c", START, str(ROOT), str(folder), name, *arguments]


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)}
