"""Doing what the hint of a system check says: its lines are pasted into settings."""

import textwrap
from typing import Any


def lines_of(hint: str | None) -> str:
    """Return the lines that a hint offers for the end of a file."""
    assert hint is not None
    assert " At the end of " in hint
    return textwrap.dedent("\n".join(line for line in hint.splitlines() if line.startswith("    ")))


class _Namespace(dict[str, Any]):
    """What the lines set, and the settings that they read. (Some that they don't are deprecated, and warn.)"""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __missing__(self, name: str) -> Any:
        if not (name.isupper() and hasattr(self._settings, name)):
            raise KeyError(name)
        return getattr(self._settings, name)


def paste(hint: str | None, settings: Any) -> None:
    """Run the lines as the end of these settings."""
    namespace = _Namespace(settings)
    exec(lines_of(hint), {}, namespace)
    for name, value in namespace.items():
        if name.isupper():
            setattr(settings, name, value)
