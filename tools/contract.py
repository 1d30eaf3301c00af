"""Writes static/client/wire.d.ts: the shapes of frames, commands and API, from the server's own models.

`python -m tools.contract` writes it; with `--check` it only says whether the file is current (exit code 1 if not).
No npm package is needed for that: these models use only a handful of what JSON Schema has, and what isn't known here
is an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tools.generated import write_or_check

PATH = Path(__file__).resolve().parent.parent / "static" / "client" / "wire.d.ts"
HEAD = """\
// Made by `make contract` from the server's models (realtime/protocol.py, messaging/schemas.py): don't edit.
// Ambient, as types.d.ts is, which says why.

declare namespace Doorbell {
"""
SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def types() -> str:
    """Return the file's text."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from messaging import data_shapes
    from realtime.http import asyncapi
    from realtime.http.api import api
    from realtime.protocol import CloseCode

    # The client is for any project: what types declare of their data, as the demo's does, isn't in it.
    with mock.patch.object(data_shapes, "declared", return_value=()):
        wire = asyncapi.document("", secure=False)["components"]["schemas"]
        http = api.get_openapi_schema()["components"]["schemas"]
    frames = [model.__name__ for model in asyncapi.FRAMES]
    commands = [model.__name__ for model in asyncapi.COMMANDS]
    shared = sorted(wire.keys() - {*frames, *commands})
    for name in shared:
        if name in http and interface(name, http[name]) != interface(name, wire[name]):
            raise ValueError(f"{name} is one thing on the socket and another over HTTP")
    parts = [
        *_section("Both", shared, wire),
        *_section("Server to client", frames, wire),
        "\n".join(["  type Frame =", *(f"    | {name}" for name in frames)]) + ";\n",
        *_section("Client to server", commands, wire),
        f"  type Command = {' | '.join(commands)};\n",
        f"  type CloseCode = {' | '.join(str(int(code)) for code in CloseCode)};\n",
        *_section("HTTP", sorted(http.keys() - set(shared)), http),
    ]
    return HEAD + "\n".join(parts) + "}\n"


def _section(title: str, names: Iterable[str], schemas: dict[str, Any]) -> list[str]:
    return [f"  // {title} {'-' * (115 - len(title))}\n", *(interface(name, schemas[name]) for name in names)]


def interface(name: str, schema: dict[str, Any]) -> str:
    """Turn an object's schema into a declaration."""
    required = schema.get("required", [])
    lines = [f"  /** {' '.join(schema['description'].split())} */"] if "description" in schema else []
    lines.append(f"  interface {name} {{")
    for field, shape in schema["properties"].items():
        lines.append(f"    {field}{'' if field in required else '?'}: {expression(shape)};")
    return "\n".join([*lines, "  }\n"])


def expression(schema: dict[str, Any]) -> str:
    """Turn a schema into the expression of a type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for options in ("anyOf", "oneOf"):
        if options in schema:
            return " | ".join(expression(option) for option in schema[options])
    if schema.get("type") == "array":
        inner = expression(schema["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if schema.get("additionalProperties") is True:
        return "Record<string, unknown>"
    return SCALARS[schema["type"]]


def main(arguments: Sequence[str] | None = None) -> int:
    return write_or_check(arguments, prog="tools.contract", description=__doc__, path=PATH, text=types)


if __name__ == "__main__":
    sys.exit(main())
