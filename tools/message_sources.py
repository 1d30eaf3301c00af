"""The texts that a folder of Python code and Django templates marks as translatable."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

# Where a call has the context, the text and its plural.
ARGUMENTS: dict[str, tuple[int | None, int, int | None]] = {
    "gettext": (None, 0, None),
    "ngettext": (None, 0, 1),
    "pgettext": (0, 1, None),
    "npgettext": (0, 1, 2),
}
ARGUMENTS |= {f"{name}_lazy": places for name, places in ARGUMENTS.items()}
ARGUMENTS["gettext_noop"] = ARGUMENTS["gettext"]
MODULE = "django.utils.translation"
LEFT_OUT = {"tests", "migrations", "__pycache__"}
# A call as `templatize` writes it.
STRING = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
CALL = re.compile(rf"(?<!\w)(?:_|n?p?gettext)\({STRING}(?:, ?{STRING})*(?:, ?count)?\)")


class Key(NamedTuple):
    context: str | None
    text: str


class Source(NamedTuple):
    plural: str | None
    files: list[str]


class NotLiteral(ValueError):
    """A text that is made while the program runs: no catalogue can have it."""


def find(folder: Path, root: Path) -> dict[Key, Source]:
    """Return the texts in the order of the files, whose names are relative to `root`. Raises NotLiteral."""
    found: dict[Key, Source] = {}
    for path in sorted({*folder.rglob("*.py"), *folder.rglob("*.html")}):
        if LEFT_OUT & {*path.relative_to(root).parts}:
            continue
        name = str(path.relative_to(root))
        for key, plural in _calls_in(path, name):
            known = found.setdefault(key, Source(plural, []))
            if plural is not None and known.plural is None:
                found[key] = known = Source(plural, known.files)
            if name not in known.files:
                known.files.append(name)
    return found


def _calls_in(path: Path, name: str) -> Iterator[tuple[Key, str | None]]:
    text = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(text)
        aliases = _aliases(tree)
        calls = sorted(
            (node for node in ast.walk(tree) if isinstance(node, ast.Call)),
            key=lambda call: (call.lineno, call.col_offset),
        )
    else:
        aliases = {function: function for function in ARGUMENTS} | {"_": "gettext"}
        found = (ast.parse(match[0], mode="eval").body for match in CALL.finditer(templatize(text)))
        calls = [call for call in found if isinstance(call, ast.Call)]
    for call in calls:
        if (function := _function(call, aliases)) is not None:
            yield from _texts(call, function, name)


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return gettext's functions by the names that they have in this module."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == MODULE
        for alias in node.names
        if alias.name in ARGUMENTS
    }


def _function(call: ast.Call, aliases: dict[str, str]) -> str | None:
    if isinstance(call.func, ast.Name):
        return aliases.get(call.func.id)
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        is_gettext = call.func.value.id == "translation" and call.func.attr in ARGUMENTS
        return call.func.attr if is_gettext else None
    return None


def _texts(call: ast.Call, function: str, name: str) -> Iterator[tuple[Key, str | None]]:
    def literal(place: int | None) -> str | None:
        argument = None if place is None else call.args[place]
        return (
            argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None
        )

    context, text, plural = ARGUMENTS[function]
    if isinstance(call.args[text], ast.Name):
        # A text that is marked elsewhere, by gettext_noop.
        return
    if (found := literal(text)) is None:
        raise NotLiteral(f"{name}:{call.lineno}: {function}() needs a text as it is written, without an f")
    yield Key(literal(context), found), literal(plural)
