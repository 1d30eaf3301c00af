"""The demo's languages: the same in Python and in the page's modules. (The catalogues: tests/test_catalogues.py.)"""

import re
from pathlib import Path

import pytest

from config.demo.languages import ENGLISH, LANGUAGES, language_of
from config.demo.modules import words_of
from messaging.profiles import set_preferences

STATIC = Path(__file__).resolve().parents[3] / "static/demo"
OTHERS = [language.code for language in LANGUAGES if language is not ENGLISH]
pytestmark = pytest.mark.django_db


def test_they_have_names_and_directions():
    assert [language.name for language in LANGUAGES][:5] == [
        "English",
        "Deutsch",
        "Español",
        "Français",
        "日本語",
    ]
    assert {language.code for language in LANGUAGES if language.direction == "rtl"} == {"ar"}


def test_the_page_has_words_in_each_and_preloads_them():
    assert {path.stem for path in (STATIC / "words").iterdir()} == {ENGLISH.code, *OTHERS}
    loaded = re.findall(r'import\("\./words/(\w+)\.js"\)', (STATIC / "language.js").read_text())
    assert sorted(loaded) == sorted(OTHERS)
    assert words_of("de") == ["demo/words/de.js", "labels/de.js"]
    assert words_of("ar") == ["demo/words/ar.js"]
    assert words_of("en") == []


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [("de", "de"), ("de-at", "de"), ("ja", "ja"), ("ar", "ar"), ("pt-br", "en"), ("", "en")],
)
def test_a_seat_is_in_the_language_of_its_person(ada, chosen, shown):
    set_preferences(ada, language=chosen)
    assert language_of(ada).code == shown


def test_without_a_choice_it_is_that_of_the_installation(ada, settings):
    settings.LANGUAGE_CODE = "fr"
    assert language_of(ada).code == "fr"
