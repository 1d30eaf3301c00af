"""A notification's `data`: a JSON object, checked on every way in, so that any client can read what any writer gave.

An error names the place, `data.order.items[3]`. What a type says of the shape of its data is for notification_types.py.
"""

import json
import math
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Manager, Model, QuerySet
from django.utils.functional import Promise
from pydantic import BaseModel, ValidationError

from .conf import conf
from .exceptions import InvalidNotification
from .texts import UNSTORABLE

# Objects and lists within each other, the outermost included.
MAX_DEPTH = 16
# JavaScript rounds what is beyond, and PostgreSQL writes out all of its digits.
MAX_NUMBER = 2**53 - 1
# What to give instead of something that JSON has no form of.
INSTEAD: dict[type | tuple[type, ...], str] = {
    (QuerySet, Manager): "give a list of what is to be shown of them",
    (date, time): "give its .isoformat()",
    timedelta: "give its .total_seconds()",
    (Decimal, UUID): "give str() of it",
    (set, frozenset): "give a list",
    (bytes, bytearray, memoryview): "give a text",
    BaseModel: "give its .model_dump(mode='json')",
}


def checked(data: Any) -> dict[str, Any] | None:
    """Return data as plain objects of JSON: tuples as lists, lazy texts as texts. Raises InvalidNotification."""
    return fitting(data, None)[0]


def fitting(data: Any, model: type[BaseModel] | None) -> tuple[dict[str, Any] | None, bool]:
    """Return the same, as this pydantic model has it, and whether a text in it was lazy.

    So the data may hold what the model takes, a datetime for one, and have the model's defaults. Raises
    InvalidNotification.
    """
    if data is None and model is None:
        return None, False
    limit = conf.data_bytes
    checker = _Checker(limit, leaves_others=model is not None)
    if model is not None:
        data = _modelled(checker.value(data, "data", 1) if isinstance(data, dict) else data, model)
        checker = _Checker(limit, has_lazy=checker.has_lazy)
    if not isinstance(data, dict):
        raise InvalidNotification(f"The data must be a dict, a JSON object, not {_named(data)}{_hint(data)}.")
    plain: dict[str, Any] = checker.value(data, "data", 1)
    size = len(_json(plain).encode())
    if size > limit:
        raise _too_large(limit, f"are {size:,} bytes as JSON")
    return plain, checker.has_lazy


def _modelled(data: Any, model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_validate({} if data is None else data).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise InvalidNotification(f"{_short(f'data{place}')}: {first['msg']}.") from None


def encoded(data: dict[str, Any] | None) -> str | None:
    """Return data, checked already, as JSON."""
    return None if data is None else _json(data)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def decoded(stored: Any) -> dict[str, Any] | None:
    """Return a column's value, raw or read by Django. One that is no object, which only raw SQL can store, is None."""
    if isinstance(stored, str):
        try:
            stored = json.loads(stored)
        except ValueError:
            # Django has read it, and it is a text.
            return None
    return stored if isinstance(stored, dict) else None


class _Checker:
    """Copies data. It counts the values, each of which takes at least a byte: so one that contains itself ends, too."""

    def __init__(self, limit: int, *, leaves_others: bool = False, has_lazy: bool = False) -> None:
        """`leaves_others`: than objects, lists and lazy texts; a model is to look at them."""
        self._limit, self._leaves_others = limit, leaves_others
        self._values = 0
        self.has_lazy = has_lazy

    def value(self, value: Any, place: str, depth: int) -> Any:
        self._values += 1
        if self._values > self._limit:
            raise _too_large(self._limit, "have more values than that")
        if isinstance(value, Promise):
            self.has_lazy, value = True, str(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value, place)
        if isinstance(value, (int, float)):
            return value if self._leaves_others else _number(value, place)
        if isinstance(value, (dict, list, tuple)):
            if depth > MAX_DEPTH:
                raise InvalidNotification(f"{_short(place)} is nested more than {MAX_DEPTH} levels deep.")
            if isinstance(value, dict):
                return {
                    _key(key, place): self.value(inner, f"{place}.{key}", depth + 1)
                    for key, inner in value.items()
                }
            return [self.value(inner, f"{place}[{at}]", depth + 1) for at, inner in enumerate(value)]
        if self._leaves_others:
            return value
        raise InvalidNotification(
            f"{_short(place)} is {_named(value)}, which JSON has no form of{_hint(value)}."
        )


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise InvalidNotification(f"{_short(place)} has the key {key!r:.60}: keys must be texts.")
    return _text(key, f"a key of {place}")


def _text(text: str, place: str) -> str:
    if UNSTORABLE.search(text):
        raise InvalidNotification(f"{_short(place)} must contain neither NUL nor halves of surrogate pairs.")
    return str.__str__(text)


def _number(number: Any, place: str) -> int | float:
    if not math.isfinite(number):
        raise InvalidNotification(f"{_short(place)} is {number}, which JSON has no form of; give None.")
    if abs(number) > MAX_NUMBER:
        raise InvalidNotification(
            f"{_short(place)} is a number beyond 2^53 - 1, which clients would round; give it as a text."
        )
    return float(number) if isinstance(number, float) else int(number)


def _too_large(limit: int, what: str) -> InvalidNotification:
    return InvalidNotification(f"The data {what}: at most {limit:,} (DOORBELL_DATA_BYTES).")


def _named(value: Any) -> str:
    # Without str() of what may query the database for it, or fail.
    kind = type(value).__name__
    return f"the {kind} with the id {value.pk}" if isinstance(value, Model) else f"a {kind}"


def _hint(value: Any) -> str:
    if isinstance(value, Model):
        return ": give its id, or what is to be shown of it"
    return next((f": {instead}" for kinds, instead in INSTEAD.items() if isinstance(value, kinds)), "")


def _short(place: str) -> str:
    place = place if len(place) <= 120 else f"{place[:100]}…"
    # It may repeat a key, which may hold anything.
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", place)
