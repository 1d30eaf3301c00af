"""The catalogues are complete: every text in the code is translated, with its places and plural forms, and compiled.

A small app in a folder of its own shows that each fault is found.
"""

import gettext
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from messaging.notification_types import MESSAGE_READ, NEW_MESSAGE, USER_OFFLINE, USER_ONLINE
from tools import message_sources, messages
from tools.message_sources import Key
from tools.messages import APPS, FILE, ROOT, key_of, read, translations_of

LANGUAGES = ["de", "es", "fr", "ja"]
DEMO = "config/demo"


def languages_of(app: str) -> list[str]:
    return ["ar", *LANGUAGES] if app == DEMO else LANGUAGES


CATALOGUES = [(app, language) for app in APPS for language in languages_of(app)]


def file_of(app: str, language: str) -> Path:
    return ROOT / app / "locale" / language / FILE


def translated(app: str, language: str) -> dict[Key, list[str]]:
    return {key_of(entry): translations_of(entry) for entry in read(file_of(app, language).read_text())}


@pytest.mark.parametrize("app", APPS)
def test_each_app_has_the_same_languages(app: str) -> None:
    assert [path.parts[-3] for path in messages.files(ROOT / app)] == languages_of(app)


@pytest.mark.parametrize(("app", "language"), CATALOGUES)
def test_a_catalogue_is_complete_and_as_make_messages_writes_it(app: str, language: str) -> None:
    sources = message_sources.find(ROOT / app, ROOT)
    text = file_of(app, language).read_text()
    catalogue = read(text)
    assert list(messages.faults_of(catalogue, sources)) == []
    assert str(messages.merged(catalogue, sources)) == text, "run `make messages`"
    compiled = file_of(app, language).with_suffix(".mo").read_bytes()
    assert compiled == catalogue.to_binary(), "run `make messages`"


@pytest.mark.parametrize(("app", "language"), CATALOGUES)
def test_gettext_reads_what_is_compiled(app: str, language: str) -> None:
    """By the standard library, which Django uses."""
    with file_of(app, language).with_suffix(".mo").open("rb") as file:
        translations = gettext.GNUTranslations(file)
    for entry in read(file_of(app, language).read_text()):
        context, text = key_of(entry)
        if context is not None:
            assert translations.pgettext(context, text) == entry.msgstr
        elif not entry.msgid_plural:
            assert translations.gettext(text) == entry.msgstr
        else:
            found = {translations.ngettext(text, entry.msgid_plural, number) for number in (0, 1, 2, 10**6)}
            assert found == set(translations_of(entry))


@pytest.mark.parametrize(("app", "language"), CATALOGUES)
def test_plural_rules_are_those_of_the_language(app: str, language: str) -> None:
    """French has 0 in the singular, Spanish a form for whole millions, Japanese one form, Arabic six."""
    with file_of(app, language).with_suffix(".mo").open("rb") as file:
        rule: Any = vars(gettext.GNUTranslations(file))["plural"]
    forms = {
        "ar": [0, 1, 2, 5],
        "de": [1, 0, 1, 1],
        "es": [2, 0, 2, 1],
        "fr": [0, 0, 1, 1],
        "ja": [0, 0, 0, 0],
    }
    assert [rule(number) for number in (0, 1, 2, 10**6)] == forms[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_of_both_apps_is_the_same_in_both(language: str) -> None:
    """Django reads all catalogues of a language as one."""
    first, second = (translated(app, language) for app in APPS if app != DEMO)
    both = first.keys() & second.keys()
    assert both
    assert [key for key in both if first[key] != second[key]] == []


def test_the_demo_brings_arabic_titles_for_the_apps_own_types() -> None:
    path = ROOT / "config/locale/ar" / FILE
    catalogue = read(path.read_text())
    assert path.with_suffix(".mo").read_bytes() == catalogue.to_binary()
    titles = {str(declared.title) for declared in (NEW_MESSAGE, MESSAGE_READ, USER_ONLINE, USER_OFFLINE)}
    assert {entry.msgid for entry in catalogue} == titles
    for entry in catalogue:
        assert messages.places_of(entry.msgstr) == messages.places_of(entry.msgid)
        with translation.override("ar"):
            assert translation.gettext(entry.msgid) == entry.msgstr


def test_a_projects_own_catalogue_wins(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "de" / FILE
    path.parent.mkdir(parents=True)
    text = f'{HEADER}\nmsgid "New message from %(actor)s"\nmsgstr "Post von %(actor)s"\n'
    path.with_suffix(".mo").write_bytes(read(text).to_binary())
    settings.LOCALE_PATHS = [str(tmp_path)]
    with translation.override("de"):
        assert str(NEW_MESSAGE.title) == "Post von %(actor)s"
        assert str(NEW_MESSAGE.label) == "Neue Nachricht"


# --- The words of bell and toasts -------------------------------------------------------------------------------------

CATEGORIES = {"de": ["one", "other"], "es": ["one", "many", "other"], "fr": ["one", "other"], "ja": ["other"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_bell_has_the_same_words_before_its_script_runs_and_after(language: str) -> None:
    script = (ROOT / f"static/labels/{language}.js").read_text()

    def word(name: str) -> str:
        found: str
        [found] = re.findall(rf'^  {name}: "(.*)",$', script, re.MULTILINE)
        return found

    [forms] = re.findall(r"^  unread: \{(.*)\},$", script, re.MULTILINE)
    unread = dict(re.findall(r'(\w+): "(.*?)"', forms))
    name = word("notifications") + word("separator")
    found = translated("realtime", language)
    assert found[Key(None, "Notifications, none unread")] == [name + word("noneUnread")]
    assert found[Key(None, "Notifications, %(count)d unread")] == [
        name + unread[category].replace("{count}", "%(count)d") for category in CATEGORIES[language]
    ]


# --- Controls -----------------------------------------------------------------------------------------------------

CODE = """
from django.utils import translation
from django.utils.translation import gettext_lazy as _, gettext as plain
from django.utils.translation import ngettext, pgettext_lazy as word
LABEL = word("door", "ring")
TEXTS = [_("Hello %(name)s"), plain("Bye {who}"), translation.gettext("At"), plain(LABEL)]
def bells(n):
    return ngettext("%(n)s bell", "%(n)s bells", n)
"""
PAGE = """{% load i18n %}<p title="{% translate "Ring (twice)" context "door" %}">it's {% translate 'At' %}</p>
{% blocktranslate count counter=n %}{{ n }} door{% plural %}{{ n }} doors{% endblocktranslate %}"""
HEADER = r"""msgid ""
msgstr ""
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"""
COMPLETE = (
    HEADER
    + r"""
msgctxt "door"
msgid "ring"
msgstr "läuten"

msgid "Hello %(name)s"
msgstr ""
"Hallo, "
"%(name)s"

msgid "Bye {who}"
msgstr "Tschüss, {who}"

msgid "At"
msgstr "Am"

msgid "%(n)s bell"
msgid_plural "%(n)s bells"
msgstr[0] "%(n)s \"Glocke\""
msgstr[1] "%(n)s Glocken"

msgctxt "door"
msgid "Ring (twice)"
msgstr "Zweimal läuten"

msgid "%(n)s door"
msgid_plural "%(n)s doors"
msgstr[0] "%(n)s Tür"
msgstr[1] "%(n)s Türen"
"""
)
FAULTY = {
    "missing": ('msgid "At"\nmsgstr "Am"\n', "", "'At' is missing"),
    "untranslated": ('msgstr "Am"', 'msgstr ""', "'At' is untranslated"),
    "fuzzy": ('msgid "At"', '#, fuzzy\nmsgid "At"', "'At' is marked as fuzzy"),
    "another context": ('msgctxt "door"\nmsgid "ring"', 'msgid "ring"', "'ring' is missing"),
    "a place is missing": ('"%(name)s"', '"Name"', "its translation none"),
    "a place has another name": ('"%(name)s"', '"%(nom)s"', "its translation ['%(nom)s']"),
    "a place is of another kind": ('"%(name)s"', '"%(name)d"', "its translation ['%(name)d']"),
    "a place in braces": ("Tschüss, {who}", "Tschüss, {wem}", "its translation ['{wem}']"),
    "a place in one form": ('"%(n)s Türen"', '"Türen"', "its translation none"),
    "a percent sign": ('msgstr "Am"', 'msgstr "Am %"', "its translation ['%']"),
    "a plural form is missing": ('msgstr[1] "%(n)s Glocken"\n', "", "lacks a plural form"),
    "a plural form is empty": ('msgstr[1] "%(n)s Glocken"', 'msgstr[1] ""', "lacks a plural form"),
    "not in the code": ('msgid "At"', 'msgid "At last"', "isn't in the code any more"),
    "another plural": ('"%(n)s bells"', '"%(n)s rings"', "has another plural in the code"),
    "blanks": ('msgstr "Am"', 'msgstr "Am "', "other blanks"),
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    app = tmp_path / "shop"
    (app / "templates").mkdir(parents=True)
    (app / "texts.py").write_text(CODE)
    (app / "templates" / "page.html").write_text(PAGE)
    return app


def faults(catalogue: str, app: Path) -> list[str]:
    return [*messages.faults_of(read(catalogue), message_sources.find(app, app.parent))]


def test_the_control_is_complete(shop: Path) -> None:
    assert faults(COMPLETE, shop) == []
    sources = message_sources.find(shop, shop.parent)
    assert [key.text for key in sources if key.context == "door"] == ["Ring (twice)", "ring"]
    assert sources[Key(None, "At")].files == ["shop/templates/page.html", "shop/texts.py"]


@pytest.mark.parametrize("fault", FAULTY)
def test_the_control_with_a_fault_is_found(fault: str, shop: Path) -> None:
    before, after, said = FAULTY[fault]
    assert COMPLETE.count(before) == 1
    assert said in "\n".join(faults(COMPLETE.replace(before, after), shop))


def test_a_compiled_catalogue_of_another_text_is_found() -> None:
    old, new = read(COMPLETE).to_binary(), read(COMPLETE.replace("Am", "Bei")).to_binary()
    assert old == read(COMPLETE).to_binary()
    assert old != new


def test_what_is_fuzzy_or_lacks_a_form_is_not_compiled() -> None:
    text = COMPLETE.replace('msgid "At"', '#, fuzzy\nmsgid "At"').replace('[1] "%(n)s Türen"', '[1] ""')
    translations = gettext.GNUTranslations(io.BytesIO(read(text).to_binary()))
    assert translations.gettext("At") == "At"
    assert translations.ngettext("%(n)s door", "%(n)s doors", 2) == "%(n)s doors"
    assert translations.ngettext("%(n)s bell", "%(n)s bells", 1) == '%(n)s "Glocke"'
    assert translations.pgettext("door", "ring") == "läuten"


@pytest.mark.parametrize("text", ['f"Hello {name}"', '"Hello " + name', "name.title()"])
def test_a_text_that_no_catalogue_can_have_is_refused(text: str, shop: Path) -> None:
    (shop / "texts.py").write_text(
        f'from django.utils.translation import gettext\nname = "Ada"\ngettext({text})'
    )
    with pytest.raises(message_sources.NotLiteral, match=r"shop/texts\.py:3"):
        message_sources.find(shop, shop.parent)


def test_make_messages_keeps_translations_and_drops_what_is_gone(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(messages, "ROOT", shop.parent)
    monkeypatch.setattr(messages, "APPS", ("shop",))
    path = shop / "locale/de" / FILE
    path.parent.mkdir(parents=True)
    gone = 'msgid "Gone"\nmsgstr "Weg"\n'
    path.write_text(COMPLETE.replace('msgid "At"\nmsgstr "Am"\n', f"# Of places.\n{gone}"))
    messages.main([])
    assert "shop/locale/de/LC_MESSAGES/django.po: 'At' is untranslated" in capsys.readouterr().out
    text = path.read_text()
    assert "Gone" not in text
    assert '#: shop/texts.py\nmsgid "Hello %(name)s"\nmsgstr "Hallo, %(name)s"\n' in text
    with path.with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Bye {who}") == "Tschüss, {who}"
    path.write_text(text.replace('msgid "At"\nmsgstr ""', '# Of places.\nmsgid "At"\nmsgstr "Am"'))
    messages.main([])
    assert "0 texts" in capsys.readouterr().out
    assert "# Of places." in path.read_text()


def test_a_language_is_added(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(messages, "ROOT", shop.parent)
    monkeypatch.setattr(messages, "APPS", ("shop",))
    messages.main(["--add", "pt-br"])
    assert "7 texts to be translated" in capsys.readouterr().out
    assert 'msgid "Bye {who}"\nmsgstr ""' in (shop / "locale/pt_BR" / FILE).read_text()


def test_a_catalogue_has_a_text_once() -> None:
    with pytest.raises(ValueError, match="already exists"):
        read(HEADER + '\nmsgid "x"\nmsgstr "y"\n' * 2)
