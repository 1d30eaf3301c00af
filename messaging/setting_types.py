"""The types of settings: how a value is read from the environment, checked, and described. The tables of settings are
conf.py, realtime/conf.py and config/environment.py."""

import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, overload

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://((?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.ASCII
)


class Setting(Generic[T]):
    """One row of a table of settings, and the typed attribute by which it is read.

    A default that depends on other settings is a function of the table; `default_text` then says it in words.
    """

    def __init__(
        self,
        default: T | Callable[[Any], T],
        meaning: str,
        *,
        default_text: str = "",
        section: str = "",
        secret: bool = False,
    ) -> None:
        self.default, self.default_text = default, default_text
        self.meaning, self.section, self.secret = meaning, section, secret

    def __set_name__(self, owner: "type[SettingsTable]", name: str) -> None:
        self.name = f"{owner.PREFIX}{name.upper()}"

    @overload
    def __get__(self, table: None, owner: type) -> Self: ...
    @overload
    def __get__(self, table: "SettingsTable", owner: type) -> T: ...
    def __get__(self, table: "SettingsTable | None", owner: type) -> "Self | T":
        return self if table is None else table.value_of(self)

    @property
    def accepts(self) -> str:
        """What an environment variable may be, in words that complete "use …"."""
        raise NotImplementedError

    @property
    def accepts_in_settings(self) -> str:
        """The same for a Django setting."""
        return self.accepts

    def parse(self, text: str) -> T:
        """Return the value that a text means. Raises ValueError."""
        raise NotImplementedError

    def is_valid(self, value: object) -> bool:
        """Whether a value, of whatever type, may stand in Django's settings."""
        raise NotImplementedError

    def refusal(self, value: object) -> str:
        """Return what to do about a value that isn't valid."""
        return f"Use {self.accepts_in_settings}."

    def read(self, value: Any) -> T:
        """Return what the attribute is for this value of a Django setting."""
        return cast("T", value)

    def from_environment(self, text: str) -> T:
        """Return the value of an environment variable. Raises ImproperlyConfigured: the server doesn't start."""
        try:
            value = self.parse(text)
        except ValueError:
            raise self._refusal(text) from None
        if not self.is_valid(value):
            raise self._refusal(text)
        return value

    def _refusal(self, text: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(
            f"{self.name} is {'not valid' if self.secret else repr(text)}: use {self.accepts}."
        )

    def default_in(self, table: "SettingsTable") -> T:
        default: Any = self.default
        value: T = default(table) if callable(default) else default
        return value


class SettingsTable:
    """A class whose attributes are the rows."""

    PREFIX: ClassVar[str] = ""

    @classmethod
    def rows(cls) -> list[Setting[Any]]:
        return [row for row in vars(cls).values() if isinstance(row, Setting)]

    def value_of(self, row: Setting[T]) -> T:
        raise NotImplementedError


class DjangoSettings(SettingsTable):
    """A table of Django settings. Each is read at each access, so that tests may override it; None is the default."""

    def value_of(self, row: Setting[T]) -> T:
        value = getattr(settings, row.name, None)
        return row.default_in(self) if value is None else row.read(value)

    @classmethod
    def invalid(cls) -> list[Setting[Any]]:
        """Return the settings whose value has the wrong type or is out of bounds."""
        return [
            row
            for row in cls.rows()
            if (value := getattr(settings, row.name, None)) is not None and not row.is_valid(value)
        ]

    @classmethod
    def unknown(cls) -> list[str]:
        """Return the names of settings with the table's prefix that aren't in the table."""
        known = {row.name for row in cls.rows()}
        return sorted(name for name in set(dir(settings)) - known if name.startswith(cls.PREFIX))


class Bounded(Setting[T]):
    """A number with bounds. `unit`: of what, in the plural."""

    noun: ClassVar[str]
    # No sign, no exponent, no "nan": float() accepts more than an environment variable should mean.
    pattern: ClassVar[str]
    types: ClassVar[tuple[type, ...]]

    def __init__(
        self,
        default: T | Callable[[Any], T],
        meaning: str,
        *,
        minimum: float = 0,
        maximum: float | None = None,
        unit: str = "",
        **options: Any,
    ) -> None:
        super().__init__(default, meaning, **options)
        self.minimum, self.maximum, self.unit = minimum, maximum, unit

    @property
    def accepts(self) -> str:
        noun = f"{self.noun} of {self.unit}" if self.unit else self.noun
        if self.maximum is None:
            return f"{noun}, at least {self.minimum:g}"
        return f"{noun} from {self.minimum:g} to {self.maximum:g}"

    def parse(self, text: str) -> T:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError(text)
        return cast("T", self.types[-1](text))

    def is_valid(self, value: Any) -> bool:
        if type(value) not in self.types:
            return False
        # Not by math.isfinite(), which fails for an integer beyond all floats. NaN is in no range.
        return self.minimum <= value < math.inf and (self.maximum is None or value <= self.maximum)


class Number(Bounded[float]):
    noun, pattern, types = "a number", r"[0-9]+(\.[0-9]+)?", (int, float)


class Integer(Bounded[int]):
    noun, pattern, types = "a whole number", r"[0-9]+", (int,)


class Switch(Setting[bool]):
    accepts = "True or False"
    TEXTS: ClassVar = {
        **dict.fromkeys(("true", "1", "yes", "on"), True),
        **dict.fromkeys(("false", "0", "no", "off"), False),
    }

    def parse(self, text: str) -> bool:
        # Strictly: a typo in a security setting must not silently mean False.
        if text.lower() not in self.TEXTS:
            raise ValueError(text)
        return bool(self.TEXTS[text.lower()])

    def is_valid(self, value: object) -> bool:
        return isinstance(value, bool)


class Text(Setting[str]):
    accepts = "text"

    def parse(self, text: str) -> str:
        return text

    def is_valid(self, value: object) -> bool:
        return isinstance(value, str)


class Choice(Text):
    def __init__(
        self,
        default: str | Callable[[Any], str],
        meaning: str,
        *,
        choices: tuple[str, ...],
        **options: Any,
    ) -> None:
        super().__init__(default, meaning, **options)
        self.choices = choices

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"

    def is_valid(self, value: object) -> bool:
        return value in self.choices


class Url(Text):
    """An address with one of these schemes. Shown nowhere: it may hold a password.

    `may_be_empty`: whether a variable that is set to nothing means the same as one that isn't set.
    """

    def __init__(
        self, meaning: str, *, schemes: tuple[str, ...], may_be_empty: bool = True, **options: Any
    ) -> None:
        super().__init__("", meaning, secret=True, **options)
        self.schemes, self.may_be_empty = schemes, may_be_empty

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return " or ".join(f"{scheme}://…" for scheme in self.schemes)

    def is_valid(self, value: object) -> bool:
        return isinstance(value, str) and (not value or value.partition("://")[0].lower() in self.schemes)

    def parse(self, text: str) -> str:
        if not text and not self.may_be_empty:
            raise ValueError(text)
        return text


class Names(Setting[list[str]]):
    """A list. In the environment: separated by commas."""

    def __init__(self, default: list[str], meaning: str, *, of: str, **options: Any) -> None:
        super().__init__(default, meaning, **options)
        self.of = of

    @property
    def accepts(self) -> str:
        return f"{self.of}, separated by commas"

    @property
    def accepts_in_settings(self) -> str:
        return f"a list of {self.of}"

    def parse(self, text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    def is_valid(self, value: object) -> bool:
        return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


class Origins(Names):
    def __init__(self, meaning: str, **options: Any) -> None:
        super().__init__([], meaning, of="origins such as https://app.example.com", **options)

    def is_valid(self, value: object) -> bool:
        return super().is_valid(value) and all(ORIGIN.fullmatch(name.lower()) for name in value)  # type: ignore[attr-defined]
