"""The version that runs: of the installed package, or of the checkout."""

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

NAME = "django-doorbell"
PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


@cache
def version() -> str:
    """Return the version, "unknown" for a copy of the packages without either."""
    try:
        project = tomllib.loads(PYPROJECT.read_text())["project"]
        # Another project's pyproject.toml may stand beside a copy of the packages.
        if project["name"] == NAME:
            return str(project["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return installed(NAME)
    except PackageNotFoundError:
        return "unknown"
