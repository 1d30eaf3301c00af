"""The types of settings in which a project names code and attributes of its own."""

import keyword
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .setting_types import Setting


class DottedPath(Setting[Callable[..., Any] | None]):
    """A function or class of the project's, by its dotted path. It is imported when it is first needed."""

    accepts = "the dotted path of a function or class, such as myproject.people.name_of"

    def __init__(self, meaning: str, **options: Any) -> None:
        super().__init__(None, meaning, **options)

    def parse(self, text: str) -> Any:
        return text

    def is_valid(self, value: object) -> bool:
        return not self._problem(value)

    def refusal(self, value: object) -> str:
        return f"{self._problem(value)} {super().refusal(value)}"

    def read(self, value: Any) -> Callable[..., Any]:
        if problem := self._problem(value):
            raise ImproperlyConfigured(f"{self.name} is {value!r}. {problem}")
        return import_string(value)  # type: ignore[no-any-return]

    def _problem(self, value: object) -> str:
        if not isinstance(value, str):
            return "It isn't a text."
        try:
            found = import_string(value)
        except Exception as error:  # of any kind: importing runs the project's code
            return f"It can't be imported: {error}."
        return "" if callable(found) else "It can't be called."


class Renames(Setting[dict[str, str | None]]):
    """Other names for these attributes; None or False is no name, and False alone is none at all."""

    accepts = 'a dict such as {"profile": "doorbell_profile", "inbox": None}, or False'

    def __init__(self, meaning: str, *, names: tuple[str, ...], **options: Any) -> None:
        super().__init__({}, meaning, **options)
        self.names = names

    def parse(self, text: str) -> Any:
        raise ValueError(text)

    def is_valid(self, value: object) -> bool:
        return not self._fault(value)

    def refusal(self, value: object) -> str:
        return f"{self._fault(value)} The default names are {', '.join(self.names)}. {super().refusal(value)}"

    def read(self, value: Any) -> dict[str, str | None]:
        """An invalid name counts as none, so that the check alone reports it."""
        if value is False:
            return dict.fromkeys(self.names)
        given = value if isinstance(value, dict) else {}
        return {name: other if is_attribute(other) else None for name, other in given.items()}

    def _fault(self, value: object) -> str:
        if value is False:
            return ""
        if not isinstance(value, dict):
            return "It isn't a dict."
        for name, other in value.items():
            if name not in self.names:
                return f"{name!r} is no default name."
            if other not in (None, False) and not is_attribute(other):
                return f"{other!r} can't be the name of an attribute and of a lookup."
        return ""


def is_attribute(name: object) -> bool:
    """Return whether Django accepts this as a related name and as a part of a lookup."""
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and "__" not in name
        and not name.endswith("_")
    )
