"""Texts of a type with named places, `%(name)s`, as gettext's translators know them. No code runs in them.

A place takes a text or a number; it can't reach into an object, and what is put into it is never read as a template.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from django.utils import formats, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import texts
from .exceptions import InvalidNotification

logger = logging.getLogger(__name__)

# May be lazy: gettext_lazy(…), or ngettext_lazy(…, …, "count").
Text = str | Promise

PLACE = re.compile(r"%(?:(?P<percent>%)|\((?P<name>[^\W\d]\w*)\)(?P<kind>[sd]))?")
SYNTAX = "only %(name)s, %(name)d for an integer, and %% for a percent sign"
KINDS = {dict: "an object", list: "a list", bool: "true or false", type(None): "null", str: "a text"}

# Texts whose translation can't be filled: each is logged once.
_failed: set[str] = set()


class _Plural(NamedTuple):
    function: Callable[..., str]
    # The name by which the form is chosen.
    number: str
    forms: dict[str, Any]

    @property
    def sources(self) -> tuple[str, str]:
        return self.forms["singular"], self.forms["plural"]


class TextTemplate:
    """A text that has been read. Raises ValueError for one with anything else than names to fill."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._plural = _plural_of(text)
        sources = [*self._plural.sources] if self._plural else _sources_of(text)
        places = [place for source in sources for place in _places(source)]
        self.names = {place["name"] for place in places if place["name"]}
        self._integers = {place["name"] for place in places if place["kind"] == "d"}
        if self._plural:
            self.names.add(self._plural.number)
            self._integers.add(self._plural.number)

    def check(self, what: str, values: Mapping[str, Any]) -> None:
        """Raise InvalidNotification if a place has no value, or one that a text can't show."""
        for name in sorted(self.names):
            if name not in values:
                raise InvalidNotification(
                    _("data.%(name)s is missing: the %(what)s shows it."), name=name, what=what
                )
            value = values[name]
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                kind = KINDS.get(type(value), "a number")
                raise InvalidNotification(
                    f"data.{name} is {kind}, and the {what} shows it: give a text or a number."
                )
            if name in self._integers and not isinstance(value, int):
                kind = KINDS.get(type(value), "a number")
                raise InvalidNotification(
                    f"data.{name} is {kind}, and the {what} counts by it: give an integer."
                )

    def filled(self, values: Mapping[str, Any], max_length: int) -> str:
        """Return the text in the active language, with values that `check` has passed: cut at so many characters.

        A translation that can't be filled, by a mistake in its catalogue, is left for the untranslated text.
        """
        try:
            text = _filled(self._translated(values), values)
        except (ValueError, KeyError, TypeError) as error:
            language = translation.get_language()
            with translation.override(None):
                source = self._translated(values)
                _report(source, language, error)
                text = _filled(source, values)
        return texts.printable(texts.shortened(text, max_length))

    def key(self, values: Mapping[str, Any]) -> str:
        """Return a text that depends on no language, whole."""
        return _filled(str(self._text), values)

    def _translated(self, values: Mapping[str, Any]) -> str:
        if self._plural is None:
            return str(self._text)
        return str(self._plural.function(**self._plural.forms, number=values[self._plural.number]))


def _plural_of(text: Text) -> _Plural | None:
    """Return what ngettext_lazy was called with, as it gives itself to pickle: str() of it shows nothing."""
    if isinstance(text, str):
        return None
    arguments = _reduced(text)
    if len(arguments) != 4 or not isinstance(arguments[3], dict) or "plural" not in arguments[3]:
        return None
    function, number, forms = arguments[0], arguments[2], arguments[3]
    if not isinstance(number, str):
        raise ValueError("ngettext_lazy(…) needs the name of its number as its third argument.")  # noqa: TRY004
    return _Plural(function, number, forms)


def _sources_of(text: Text) -> list[str]:
    """Return a text before its translation, which can't be asked for while apps are still loaded."""
    if isinstance(text, str):
        return [text]
    # gettext_lazy(text), pgettext_lazy(context, text). Of another lazy function nothing is known before its call.
    function, given, *_ = _reduced(text)
    return [str(given[-1])] if getattr(function, "__module__", "") == translation.__name__ and given else []


def _reduced(text: Promise) -> tuple[Any, ...]:
    reduced: Any = text.__reduce__()
    arguments: tuple[Any, ...] = reduced[1]
    return arguments


def _filled(pattern: str, values: Mapping[str, Any]) -> str:
    places = _places(pattern)

    def fill(match: re.Match[str]) -> str:
        place = next(places)
        return "%" if place["percent"] else _shown(values[place["name"]])

    # In one pass: a value is never looked at for places.
    return PLACE.sub(fill, pattern)


def _places(pattern: str) -> Iterator[re.Match[str]]:
    for match in PLACE.finditer(pattern):
        if match[0] == "%":
            part = pattern[match.start() : match.start() + 20]
            raise ValueError(f"a text may hold {SYNTAX}; {pattern!r:.200} has {part!r}.")
        yield match


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return texts.printable(value)
    return str(formats.localize(value)) if isinstance(value, float) else str(value)


def _report(source: str, language: str | None, error: Exception) -> None:
    if source not in _failed:
        _failed.add(source)
        logger.error(
            "the translation of %r into %s can't be filled; it is shown untranslated; correct the catalogue: %s",
            source,
            language,
            error,
        )
