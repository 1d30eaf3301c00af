"""Doing what the hint of a system check says: its lines are pasted into settings."""

import textwrap
from typing import Any

from django.conf import settings as project_settings


def lines_of(hint: str | None) -> str:
    """Return the lines that a hint offers for the end of a file."""
    assert hint is not None
    assert " At the end of " in hint
    return textwrap.dedent("\n".join(line for line in hint.splitlines() if line.startswith("    ")))


def paste(hint: str | None, settings: Any) -> None:
    """Run the lines as the end of these settings."""
    namespace = {name: getattr(settings, name) for name in dir(project_settings) if name.isupper()}
    before = dict(namespace)
    exec(lines_of(hint), {}, namespace)
    for name, value in namespace.items():
        if name.isupper() and value is not before.get(name):
            setattr(settings, name, value)
