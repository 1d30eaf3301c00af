"""Brings the catalogues up to date with the code: `make messages`, which needs no gettext.

New texts come in untranslated, those that the code no longer has go, and each .mo is compiled from its .po. Prints what
remains to be done. A new language is a new folder: `python -m tools.messages --add it`.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import django
import polib
from django.utils.translation import to_locale

from tools import message_sources
from tools.message_sources import Key, Source

ROOT = Path(__file__).resolve().parent.parent
APPS = ("messaging", "realtime", "config/demo")
FILE = "LC_MESSAGES/django.po"
PLACE = re.compile(r"%\(\w+\)[a-z]|%(?:[^(]|$)|\{\w*\}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.messages", description=__doc__)
    parser.add_argument("--add", metavar="LANGUAGE", help="start the catalogues of a language")
    added = parser.parse_args(arguments).add
    faults = []
    for app in APPS:
        sources = message_sources.find(ROOT / app, ROOT)
        if added:
            _start(ROOT / app / "locale" / to_locale(added) / FILE, added)
        for path in files(ROOT / app):
            catalogue = merged(read(path.read_text()), sources)
            catalogue.save(str(path))
            catalogue.save_as_mofile(str(path.with_suffix(".mo")))
            faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults_of(catalogue, sources)]
    print(*faults, f"{len(faults)} texts to be translated or corrected", sep="\n")
    return 0


def _start(path: Path, language: str) -> None:
    if path.exists():
        return
    catalogue = polib.POFile()
    catalogue.header = f"{language}."
    catalogue.metadata = {
        "Project-Id-Version": "Doorbell",
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": plural_rule(language),
    }
    path.parent.mkdir(parents=True)
    catalogue.save(str(path))


def plural_rule(language: str) -> str:
    """Return that of Django's own catalogue."""
    [folder] = django.__path__
    theirs = Path(folder, "conf/locale", to_locale(language), FILE).read_text()
    return read(theirs).metadata["Plural-Forms"]


def read(text: str) -> polib.POFile:
    """Return the catalogue of a .po file's text. Raises ValueError for a text that is in it twice."""
    return polib.pofile(text, check_for_duplicates=True, wrapwidth=0)


def key_of(entry: polib.POEntry) -> Key:
    return Key(entry.msgctxt, entry.msgid)


def translations_of(entry: polib.POEntry) -> list[str]:
    """Return the plural forms in their order; the only text of one without plural."""
    return [entry.msgstr_plural[form] for form in sorted(entry.msgstr_plural)] or [entry.msgstr]


def number_of_forms(catalogue: polib.POFile) -> int:
    [number] = re.findall(r"nplurals\s*=\s*(\d+)", catalogue.metadata.get("Plural-Forms", ""))
    return int(number)


def files(app: Path) -> list[Path]:
    """Return the catalogues of an app, as translators edit them."""
    return sorted(app.glob(f"locale/*/{FILE}"))


def merged(catalogue: polib.POFile, sources: Mapping[Key, Source]) -> polib.POFile:
    """Return the catalogue with exactly these texts, and the translations that it has for them."""
    known = {key_of(entry): entry for entry in catalogue}
    result = polib.POFile(wrapwidth=0)
    result.header, result.metadata = catalogue.header, catalogue.metadata
    for key, source in sources.items():
        entry = polib.POEntry(msgctxt=key.context, msgid=key.text, msgid_plural=source.plural or "")
        if (before := known.get(key)) is not None:
            entry.tcomment, entry.flags = before.tcomment, before.flags
        # A text that has got a plural, or lost it, is another one.
        kept = before is not None and bool(before.msgid_plural) == (source.plural is not None)
        if source.plural is not None:
            forms = before.msgstr_plural if before is not None and kept else {}
            entry.msgstr_plural = {form: forms.get(form, "") for form in range(number_of_forms(catalogue))}
        elif before is not None and kept:
            entry.msgstr = before.msgstr
        entry.occurrences = [(file, "") for file in source.files]
        result.append(entry)
    return result


def faults_of(catalogue: polib.POFile, sources: Mapping[Key, Source]) -> Iterator[str]:
    """Yield what a reader of this language would see untranslated, or wrong."""
    for key in sources.keys() - {key_of(entry) for entry in catalogue}:
        yield f"{key.text!r} is missing"
    for entry in catalogue:
        source = sources.get(key_of(entry))
        if source is None:
            yield f"{entry.msgid!r} isn't in the code any more"
        elif (source.plural or "") != entry.msgid_plural:
            yield f"{entry.msgid!r} has another plural in the code"
        yield from (
            f"{entry.msgid!r} {fault}" for fault in _faults_of_entry(entry, number_of_forms(catalogue))
        )


def _faults_of_entry(entry: polib.POEntry, forms: int) -> Iterator[str]:
    translations = translations_of(entry)
    if entry.fuzzy:
        yield "is marked as fuzzy: look at it, and remove the mark"
    if not any(translations):
        yield "is untranslated"
        return
    if not all(translations) or len(translations) != (forms if entry.msgid_plural else 1):
        yield "lacks a plural form, or has one too many"
    expected = places_of(entry.msgid_plural or entry.msgid)
    for form in translations:
        if form and places_of(form) != expected:
            yield f"has {expected or 'no places'}, its translation {places_of(form) or 'none'}"
        if form.strip() != form or form.endswith("\n") != entry.msgid.endswith("\n"):
            yield "has other blanks around it"


def places_of(text: str) -> list[str]:
    """Return what is filled into a text: each name once, since a language may need it twice."""
    return sorted({*PLACE.findall(text)})


if __name__ == "__main__":
    sys.exit(main())
