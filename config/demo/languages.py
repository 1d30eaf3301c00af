"""The languages that a seat of the demo may have: each has its words in static/demo/words/, and a catalogue in locale/.

Arabic is one that the elements and the two apps don't have: the demo brings it, as any project may.
"""

from typing import Any, NamedTuple

from django.utils.translation import get_language_info

from messaging import languages


class Language(NamedTuple):
    code: str
    name: str
    direction: str


def _language(code: str) -> Language:
    info = get_language_info(code)
    return Language(code, info["name_local"].capitalize(), "rtl" if info["bidi"] else "ltr")


LANGUAGES = [_language(code) for code in ("en", "de", "es", "fr", "ja", "ar")]
ENGLISH = LANGUAGES[0]
_by_code = {language.code: language for language in LANGUAGES}


def language_of(user: Any) -> Language:
    """Return the language in which a user is notified; English if the demo doesn't have it."""
    notified = languages.of([user.pk])[user.pk]
    return _by_code.get(notified.partition("-")[0], ENGLISH)
