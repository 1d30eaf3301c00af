"""Which texts and addresses a notification may show: texts show something, in the order in which they were written.

A message's content is its sender's own, and stored as it is; `printable` is what a notification quotes of it.
"""

import re
import unicodedata

from django.utils.translation import gettext_noop

# C0 without tab and line breaks, DEL, C1, surrogates: useless in a toast, and six bytes each in a frame.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# U+202D and U+202E let any text read backwards, "gnp.exe" as "exe.png", and no language needs them.
OVERRIDE = re.compile(r"[\u202d\u202e]")
# Embeddings and isolates, which right-to-left texts contain, and what closes them. Unclosed ones reorder what follows.
OPENING = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}
DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
# Letters, marks and symbols without a glyph: fillers, variation selectors, the blank braille pattern.
INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# An address that a page may link to. No backslash: browsers read it as a slash, and "/\host" would be another site.
SAFE_URL = re.compile(r"(?=[!-\[\]-~]{1,500}\Z)(?:https?://[^/].*|/(?!/).*|[?#].*)", re.IGNORECASE)
ELLIPSIS = "…"
JOINER = "\N{ZERO WIDTH JOINER}"
MODIFIER = re.compile(r"[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
FLAG = re.compile(r"[\U0001f1e6-\U0001f1ff]")
FLAGS = re.compile(r"[\U0001f1e6-\U0001f1ff]+\Z")
# The combining class of what joins the letters of an Indic syllable.
VIRAMA = 9
# Of one letter or emoji; those of a longer one are cut.
MAX_MARKS = 40
# What PostgreSQL or UTF-8 has no place for.
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def fault_of(text: str) -> str | None:
    """Return why a text can't be shown as it is, to be put behind "The title", in English; None if it can."""
    if CONTROL.search(text):
        return gettext_noop("must not contain control characters")
    if OVERRIDE.search(text):
        return gettext_noop("must not override the direction of text (U+202D, U+202E)")
    if not _is_balanced(text):
        return gettext_noop(
            "must close each direction embedding or isolate that it opens (U+202A to U+202C, U+2066 to U+2069)"
        )
    return None


def shows_something(text: str) -> bool:
    """Whether a reader sees anything of a text."""
    return any(
        unicodedata.category(each) not in INVISIBLE_CATEGORIES and not INVISIBLE.match(each) for each in text
    )


def printable(text: str) -> str:
    """Replace what a notification's text may not contain. A part of a text may have lost its closing marks."""
    text = OVERRIDE.sub(REPLACEMENT, CONTROL.sub(REPLACEMENT, text))
    return text if _is_balanced(text) else DIRECTION.sub("", text)


def shortened(text: str, max_length: int) -> str:
    """Return a text of up to so many characters: a longer one ends in "…", and not within what is seen as one."""
    if len(text) <= max_length:
        return text
    end = max_length - len(ELLIPSIS)
    for back in range(min(end, MAX_MARKS)):
        if not _is_within(text, end - back):
            return text[: end - back].rstrip() + ELLIPSIS
    return text[:end] + ELLIPSIS


def _is_within(text: str, at: int) -> bool:
    """Whether this place is within an emoji, a flag, or a letter with its marks: nearly all of Unicode's rules."""
    before, after = text[at - 1], text[at]
    if JOINER in {before, after} or unicodedata.combining(before) == VIRAMA:
        return True
    if unicodedata.category(after).startswith("M") or MODIFIER.match(after):
        return True
    flags = FLAGS.search(text, 0, at) if FLAG.match(after) else None
    return flags is not None and len(flags[0]) % 2 == 1


def _is_balanced(text: str) -> bool:
    expected: list[str] = []
    for mark in DIRECTION.findall(text):
        if mark in OPENING:
            expected.append(OPENING[mark])
        elif not expected or expected.pop() != mark:
            return False
    return not expected
