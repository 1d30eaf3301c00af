"""The AsyncAPI 3.0 document of the socket, generated from the frames, commands and close codes of protocol.py, and from
the forms that types declare of their data.

docs/protocol.md describes the same in prose, and says more.
"""

import functools
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from messaging import data_shapes
from realtime import mount, protocol
from realtime.protocol import CloseCode

MAX_FRAME_BYTES = 512 * 1024

FRAMES: tuple[type[BaseModel], ...] = get_args(get_args(protocol.ServerFrame)[0])
COMMANDS: tuple[type[BaseModel], ...] = tuple(protocol.COMMANDS.values())

WHEN = {
    "hello": "The first frame, always. `resumed`: `since` was given and can be served.",
    "presence_state": "The second frame: the contacts who are online now.",
    "inbox": "A revision: what is new, became read or unread, or is gone. A list that is left out is empty.",
    "synced": "The catch-up is complete up to here; live from now on.",
    "reset": "A catch-up is impossible: read the list over HTTP. Live frames follow from `revision` on.",
    "presence": "A contact came online or went offline. Ignore a `version` that isn't higher than the known one.",
    "heartbeat": "Every `heartbeat_seconds`. A client whose revision is another sends `resume`.",
    "pong": "The answer to `ping`.",
    "error": "The last command was bad. The socket stays open.",
    "resume": "Asks for what came after `since`: answered by a catch-up that ends in `synced` or `reset`.",
    "ping": "Answered by `pong`.",
}
DESCRIPTION = f"""\
One user's inbox, live. A client gives the last revision that it applied as `since`, with the `epoch` to which it
belongs; then come `hello`, `presence_state`, what it missed, `synced`, and one frame for each further revision.

Text frames of one JSON object, at most {MAX_FRAME_BYTES // 1024} KiB from the server and
{protocol.MAX_COMMAND_BYTES // 1024} KiB from the client. Unknown fields and unknown types of frames are to be ignored.
The subprotocol is `{protocol.SUBPROTOCOL}`. Without the session's cookie a client gets a ticket over HTTP (`POST
/api/v1/ticket`) and offers `{protocol.TICKET_PREFIX}<ticket>` as a second subprotocol.
"""
REVISION = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}


class _Shapes(GenerateJsonSchema):
    """Frames have all their fields, but empty lists and what has `exclude_if` may be left out.

    They may grow, so they aren't closed.
    """

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "validation":
            return super().field_is_required(field, total)
        return field["schema"].get("default") != [] and field.get("serialization_exclude_if") is None

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        shape = super().model_schema(schema)
        if self.mode == "serialization":
            shape.pop("additionalProperties", None)
        return shape


def document(host: str, *, secure: bool, prefix: str = "") -> dict[str, Any]:
    """Return the document.

    `host`: of the server, with its port unless that is the default. `prefix`: of all of Doorbell's paths.
    """
    server = {"host": host, "protocol": "wss" if secure else "ws"} | ({"pathname": prefix} if prefix else {})
    messages, schemas = _components(data_shapes.declared())
    frames, commands = ([name_of(model) for model in models] for models in (FRAMES, COMMANDS))
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Doorbell", "version": "1", "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"here": server},
        "channels": {"notifications": _channel([*frames, *commands])},
        "operations": {
            "tell": _operation("send", "Frames that the server sends.", frames),
            "ask": _operation("receive", "Commands that a client may send. Changes go over HTTP.", commands),
        },
        "components": {"messages": messages, "schemas": schemas},
        "x-close-codes": [_close_code(code) for code in CloseCode],
    }


def name_of(model: type[BaseModel]) -> str:
    """The `type` of a frame or command."""
    name: str = get_args(model.model_fields["type"].annotation)[0]
    return name


@functools.lru_cache(1)
def _components(types: data_shapes.Declared) -> tuple[dict[str, Any], dict[str, Any]]:
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for models, mode in ((FRAMES, "serialization"), (COMMANDS, "validation")):
        for model in models:
            shape = model.model_json_schema(
                mode=mode,  # type: ignore[arg-type]
                schema_generator=_Shapes,
                ref_template="#/components/schemas/{model}",
            )
            schemas |= shape.pop("$defs", {})
            title = shape["title"] = model.__name__
            schemas[title] = shape
            messages[name_of(model)] = {
                "name": name_of(model),
                "summary": WHEN[name_of(model)],
                "payload": {"$ref": f"#/components/schemas/{title}"},
            }
    data_shapes.add(schemas, "Notification", "serialization", types)
    return messages, dict(sorted(schemas.items()))


def _channel(names: list[str]) -> dict[str, Any]:
    query = {
        "type": "object",
        "properties": {"since": REVISION, "epoch": {"type": "string"}},
    }
    return {
        "address": f"/{mount.SOCKET}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/notifications"},
        "messages": [{"$ref": f"#/channels/notifications/messages/{name}"} for name in names],
    }


def _close_code(code: CloseCode) -> dict[str, Any]:
    stops = 4500 <= code < 5000
    return {
        "code": int(code),
        "name": code.name.lower().replace("_", " "),
        "client": "stops" if stops else "reconnects",
    }
