"""Argument types of the commands: a command line may hold undecodable bytes and any number."""

from argparse import ArgumentTypeError
from unicodedata import category

YEAR_SECONDS = 366 * 24 * 3600


def text(argument: str) -> str:
    """A text without control characters or undecodable bytes."""
    if any(category(character) in ("Cc", "Cs") for character in argument):
        raise ArgumentTypeError(f"{argument!a} has control characters, or isn't UTF-8")
    return argument


def seconds(argument: str) -> float:
    """A number of seconds from 0 to a year."""
    try:
        number = float(argument)
    except ValueError:
        raise ArgumentTypeError(f"{argument!r} isn't a number") from None
    if not 0 <= number <= YEAR_SECONDS:
        raise ArgumentTypeError(f"{argument} isn't between 0 and {YEAR_SECONDS}")
    return number
