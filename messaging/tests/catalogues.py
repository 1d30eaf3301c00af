"""Translations for tests, beside those of the installed catalogues."""

from contextlib import ExitStack, contextmanager
from typing import Any

from django.utils.translation import trans_real

COMMENTED = "%(actor)s commented on %(page)s"
TRANSLATIONS = {
    "de": {COMMENTED: "%(actor)s hat %(page)s kommentiert", "shipped": "verschickt"},
    "ja": {COMMENTED: "%(actor)sさんが%(page)sにコメントしました", "shipped": "発送済み"},
    "ar": {COMMENTED: "علّق %(actor)s على %(page)s", "shipped": "تم الشحن"},
}


def texts_of(language: str) -> list[Any]:
    """Return the texts that gettext knows of a language: the first dict that has one wins."""
    found: Any = trans_real.translation(language)
    catalogues: list[Any] = found._catalog._catalogs
    return catalogues


def forget_the_languages() -> None:
    """LANGUAGES has been overridden: Django keeps it."""
    cached: Any = trans_real.get_languages
    cached.cache_clear()


@contextmanager
def translated(catalogues=TRANSLATIONS):
    """Have gettext know these texts of each language."""
    with ExitStack() as stack:
        for language, texts in catalogues.items():
            known = texts_of(language)
            known.insert(0, texts)
            stack.callback(known.remove, texts)
        yield
