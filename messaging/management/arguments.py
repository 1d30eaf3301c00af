"""What the commands take from a command line, where bytes may be no text and a number may be anything."""

from argparse import ArgumentTypeError
from unicodedata import category

YEAR_SECONDS = 366 * 24 * 3600


def text(argument: str) -> str:
    """A text that can be stored and looked for."""
    if any(category(character) in ("Cc", "Cs") for character in argument):
        raise ArgumentTypeError(f"{argument!a} has control characters, or is no UTF-8")
    return argument


def seconds(argument: str) -> float:
    """A number of seconds from 0 to a year."""
    try:
        number = float(argument)
    except ValueError:
        raise ArgumentTypeError(f"{argument!r} is no number") from None
    if not 0 <= number <= YEAR_SECONDS:
        raise ArgumentTypeError(f"{argument} is not from 0 to {YEAR_SECONDS}")
    return number
