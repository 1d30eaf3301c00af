"""The hints of system checks: a sentence, and lines that can be pasted into the project as they are."""

import textwrap
from typing import Any

from django.conf import settings


def paste(sentence: str, lines: str, into: str = "the settings") -> str:
    """Return a hint: the sentence, and below it the lines for the end of that file."""
    return f"{sentence} At the end of {into}:\n\n{textwrap.indent(lines.strip(), '    ')}\n"


def project() -> str:
    """Return the project's name: that of the package with its URLconf."""
    return str(getattr(settings, "ROOT_URLCONF", None) or "mysite").split(".")[0]


def listed(name: str, values: list[Any]) -> str:
    """Return the assignment of a list to a setting, a value a line."""
    return "\n".join([f"{name} = [", *(f"    {value!r},".replace("'", '"') for value in values), "]"])
