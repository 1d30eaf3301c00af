"""The forms that notification types declare of their data, as schemas of the OpenAPI and AsyncAPI documents.

Data are checked in data.py; what is described here never decides about them.
"""

import json
import logging
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import PydanticSerializationError, core_schema

from . import notification_types

logger = logging.getLogger(__name__)

# Types by name, each with the model of its data.
Declared = tuple[tuple[str, type[BaseModel]], ...]
Mode = Literal["validation", "serialization"]
SCHEMAS = "#/components/schemas/"


class _Form(GenerateJsonSchema):
    """As data are stored: each field that has a default is there. What JSON Schema can't say is left open."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "validation" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return field.get("serialization_exclude_if") is None

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def encode_default(self, dft: Any) -> Any:
        default = super().encode_default(dft)
        try:
            _require_json(default)
        except ValueError as error:
            # So it is left out.
            raise PydanticSerializationError(str(error)) from None
        return default

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> dict[str, Any]:
        union = super().tagged_union_schema(schema)
        # An object in OpenAPI, a string in AsyncAPI; `oneOf` says the same.
        union.pop("discriminator", None)
        return union

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def declared() -> Declared:
    """Return the types that declare a form of their data: what a document made with `add` depends on."""
    return tuple((one.name, one.data) for one in notification_types.all_types() if one.data is not None)


def add(schemas: dict[str, Any], holder: str, mode: Mode, types: Declared) -> None:
    """Add the forms to a document's schemas, in place, and name them as what `data` of the schema `holder` may be.

    Beside any other object: types needn't declare a form, and a stored notification has that of its time.
    """
    options: list[dict[str, Any]] = schemas[holder]["properties"]["data"]["anyOf"]
    references = []
    for (type_name, model), name in zip(types, _names(name for name, _ in types), strict=True):
        parts = _schemas(name, type_name, model, mode)
        if any(schemas.get(part, shape) != shape for part, shape in parts.items()):
            # What is taken differs from what is sent, by defaults for one.
            name = f"{name}Input"  # noqa: PLW2901
            parts = _schemas(name, type_name, model, mode)
        schemas |= parts
        references.append({"$ref": f"{SCHEMAS}{name}"})
    options[:0] = references


def _names(types: Iterable[str]) -> list[str]:
    """Return a name of a schema for each of these types: `NewCommentData` for `new_comment`."""
    names: list[str] = []
    for type_name in types:
        words = re.findall(r"[A-Za-z0-9]+", type_name)
        name = "".join(word[:1].upper() + word[1:] for word in words) + "Data"
        taken = sum(re.fullmatch(rf"{name}\d*", other) is not None for other in names)
        names.append(f"{name}{taken + 1}" if taken else name)
    return names


def _schemas(name: str, type_name: str, model: type[BaseModel], mode: Mode) -> dict[str, Any]:
    """Return the schema of a model by this name, and those that it refers to, by names that begin with it."""
    try:
        shape, parts = _shape(name, model, mode)
    except Exception as error:  # of any kind: the model is a project's, and may have schemas of its own
        logger.warning(
            "the data of the type %s are described as any object in openapi.json and asyncapi.json; their model %s has "
            "no JSON schema: %r",
            type_name,
            model.__qualname__,
            error,
        )
        shape, parts = {"type": "object"}, {}
    words = [f"The `data` of notifications of the type `{type_name}`.", shape.get("description", "")]
    return {**parts, name: {**shape, "title": name, "description": " ".join(filter(None, words))}}


def _shape(name: str, model: type[BaseModel], mode: Mode) -> tuple[dict[str, Any], dict[str, Any]]:
    shape = model.model_json_schema(
        mode=mode, schema_generator=_Form, ref_template=f"{SCHEMAS}{name}_{{model}}"
    )
    parts = {f"{name}_{part}": inner for part, inner in shape.pop("$defs", {}).items()}
    if "$ref" in shape:
        # A model that contains itself.
        shape = dict(parts[shape["$ref"].removeprefix(SCHEMAS)])
    _require_json([shape, parts])
    return shape, parts


def _require_json(value: Any) -> None:
    """Raise ValueError or TypeError for what JSON has no form of, as NaN and halves of surrogate pairs."""
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
