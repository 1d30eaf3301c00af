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
from django.utils.translation import to_locale

from tools import message_sources, po_files
from tools.message_sources import Key, Source
from tools.po_files import Catalogue, Entry

ROOT = Path(__file__).resolve().parent.parent
APPS = ("messaging", "realtime", "config/demo")
FILE = "LC_MESSAGES/django.po"
PLACE = re.compile(r"%\(\w+\)[a-z]|%(?:[^(]|$)|\{\w*\}")
HEADER = (
    "Project-Id-Version: Doorbell\nLanguage: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    "Content-Transfer-Encoding: 8bit\n{}\n"
)


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
            catalogue = merged(po_files.read(path.read_text()), sources)
            path.write_text(po_files.written(catalogue))
            path.with_suffix(".mo").write_bytes(po_files.compiled(catalogue))
            faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults_of(catalogue, sources)]
    print(*faults, f"{len(faults)} texts to be translated or corrected", sep="\n")
    return 0


def _start(path: Path, language: str) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True)
    header = HEADER.format(language, plural_rule(language))
    path.write_text(po_files.written(Catalogue(header, [f"# {language}."], {})))


def plural_rule(language: str) -> str:
    """Return the header line of Django's own catalogue."""
    [folder] = django.__path__
    theirs = po_files.read(Path(folder, "conf/locale", to_locale(language), FILE).read_text())
    [rule] = re.findall(r"^Plural-Forms: .*?(?=;?$)", theirs.header, re.MULTILINE)
    return f"{rule};"


def files(app: Path) -> list[Path]:
    """Return the catalogues of an app, as translators edit them."""
    return sorted(app.glob(f"locale/*/{FILE}"))


def merged(catalogue: Catalogue, sources: Mapping[Key, Source]) -> Catalogue:
    """Return the catalogue with exactly these texts, and the translations that it has for them."""
    entries = {}
    for key, source in sources.items():
        known = catalogue.entries.get(key, Entry(key))
        # A text that has got a plural, or lost it, is another one.
        kept = known.translations if (known.plural is None) == (source.plural is None) else []
        entries[key] = Entry(key, source.plural, kept, known.is_fuzzy, known.comments, source.files)
    return Catalogue(catalogue.header, catalogue.comments, entries)


def faults_of(catalogue: Catalogue, sources: Mapping[Key, Source]) -> Iterator[str]:
    """Yield what a reader of this language would see untranslated, or wrong."""
    for key in sources.keys() - catalogue.entries.keys():
        yield f"{key.text!r} is missing"
    for key, entry in catalogue.entries.items():
        source = sources.get(key)
        if source is None:
            yield f"{key.text!r} isn't in the code any more"
        elif source.plural != entry.plural:
            yield f"{key.text!r} has another plural in the code"
        yield from (f"{key.text!r} {fault}" for fault in _faults_of_entry(entry, catalogue.number_of_forms))


def _faults_of_entry(entry: Entry, number_of_forms: int) -> Iterator[str]:
    if entry.is_fuzzy:
        yield "is marked as fuzzy: look at it, and remove the mark"
    if not any(entry.translations):
        yield "is untranslated"
        return
    if not entry.is_translated or len(entry.translations) != (number_of_forms if entry.plural else 1):
        yield "lacks a plural form, or has one too many"
    expected = places_of(entry.plural or entry.key.text)
    for form in entry.translations:
        if form and places_of(form) != expected:
            yield f"has {expected or 'no places'}, its translation {places_of(form) or 'none'}"
        if form.strip() != form or form.endswith("\n") != entry.key.text.endswith("\n"):
            yield "has other blanks around it"


def places_of(text: str) -> list[str]:
    """Return what is filled into a text: each name once, since a language may need it twice."""
    return sorted({*PLACE.findall(text)})


if __name__ == "__main__":
    sys.exit(main())
