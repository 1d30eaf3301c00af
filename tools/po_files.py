"""Gettext's files: a catalogue as translators edit it (.po) read and written, and compiled (.mo)."""

import ast
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tools.message_sources import Key

LINE = re.compile(r'(?:(?P<keyword>msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s+)?(?P<string>".*")\s*')
MAGIC = 0x950412DE


@dataclass
class Entry:
    key: Key
    plural: str | None = None
    # In the order of the language's plural forms; one for a text without plural.
    translations: list[str] = field(default_factory=list)
    is_fuzzy: bool = False
    # What translators note, and the files that have the text.
    comments: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def is_translated(self) -> bool:
        return bool(self.translations) and all(self.translations)


@dataclass
class Catalogue:
    # The translation of the empty text, and the comments at the head of the file.
    header: str
    comments: list[str]
    entries: dict[Key, Entry]

    @property
    def number_of_forms(self) -> int:
        found = re.search(r"nplurals\s*=\s*(\d+)", self.header)
        if found is None:
            raise ValueError("The catalogue's header has no Plural-Forms.")
        return int(found[1])


def read(text: str) -> Catalogue:
    """Return the catalogue of a .po file. Raises ValueError, naming a line that is none of its format."""
    entries = [_entry(block) for block in _blocks(text)]
    heads = [entry for entry in entries if entry.key == Key(None, "")]
    if len(heads) != 1:
        raise ValueError("The catalogue has no header, or two.")
    rest = {entry.key: entry for entry in entries if entry is not heads[0]}
    if len(rest) != len(entries) - 1:
        raise ValueError("The catalogue has a text twice.")
    return Catalogue("".join(heads[0].translations), heads[0].comments, rest)


def _blocks(text: str) -> Iterator[list[str]]:
    # (Obsolete entries, "#~", are left out.)
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#~")]
    block: list[str] = []
    for line in [*lines, ""]:
        if line:
            block.append(line)
        elif block:
            yield block
            block = []


def _entry(lines: list[str]) -> Entry:
    entry, strings, keyword = Entry(Key(None, "")), dict[str, str](), ""
    for line in lines:
        if line.startswith("#:"):
            entry.files += line[2:].split()
        elif line.startswith("#,"):
            entry.is_fuzzy = "fuzzy" in line
        elif line.startswith("#"):
            entry.comments.append(line)
        elif match := LINE.fullmatch(line):
            keyword = match["keyword"] or keyword
            strings[keyword] = strings.get(keyword, "") + ast.literal_eval(match["string"])
        else:
            raise ValueError(f"This line of the catalogue can't be read: {line!r:.100}")
    entry.key, entry.plural = Key(strings.get("msgctxt"), strings["msgid"]), strings.get("msgid_plural")
    entry.translations = [strings[name] for name in strings if name.startswith("msgstr")]
    return entry


def written(catalogue: Catalogue) -> str:
    """Return the text of the .po file."""
    header = "\n".join(f"{_quoted(line)}" for line in catalogue.header.splitlines(keepends=True))
    blocks = ["\n".join([*catalogue.comments, 'msgid ""', 'msgstr ""', header])]
    for entry in catalogue.entries.values():
        lines = [*entry.comments, *(f"#: {name}" for name in entry.files)]
        lines += ["#, fuzzy"] if entry.is_fuzzy else []
        lines += [] if entry.key.context is None else [f"msgctxt {_quoted(entry.key.context)}"]
        lines.append(f"msgid {_quoted(entry.key.text)}")
        if entry.plural is None:
            lines.append(f"msgstr {_quoted(''.join(entry.translations))}")
        else:
            lines.append(f"msgid_plural {_quoted(entry.plural)}")
            forms = entry.translations + [""] * (catalogue.number_of_forms - len(entry.translations))
            lines += [f"msgstr[{number}] {_quoted(form)}" for number, form in enumerate(forms)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _quoted(text: str) -> str:
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(char, escaped)
    return f'"{text}"'


def compiled(catalogue: Catalogue) -> bytes:
    """Return the .mo file: what is translated, and not fuzzy. The same catalogue always makes the same bytes."""
    pairs = {b"": catalogue.header.encode()}
    for entry in catalogue.entries.values():
        if entry.is_translated and not entry.is_fuzzy:
            context = "" if entry.key.context is None else f"{entry.key.context}\4"
            plural = "" if entry.plural is None else f"\0{entry.plural}"
            pairs[f"{context}{entry.key.text}{plural}".encode()] = "\0".join(entry.translations).encode()
    keys = sorted(pairs)
    values = [pairs[key] for key in keys]
    # Seven numbers, two tables of (length, offset), the texts.
    first = 7 * 4 + 2 * 8 * len(keys)
    places = list(_places([*keys, *values], first))
    head = struct.pack("<7I", MAGIC, 0, len(keys), 7 * 4, 7 * 4 + 8 * len(keys), 0, first)
    tables = b"".join(struct.pack("<2I", length, offset) for length, offset in places)
    return head + tables + b"".join(text + b"\0" for text in [*keys, *values])


def _places(texts: Iterable[bytes], offset: int) -> Iterator[tuple[int, int]]:
    for text in texts:
        yield len(text), offset
        offset += len(text) + 1
