"""A catalogue that has every text, and puts it into ⟦ ⟧; and what a page says outside of them, from no catalogue."""

import re
from html.parser import HTMLParser

SHOWN = ("title", "aria-label", "placeholder", "alt", "summary", "label")
WORD = re.compile(r"[^\W\d_]{2,}")
# What the rows hold, and names. The last four Django says itself, of pictures
# and of a model that has no name.
DATA = re.compile(
    r"\b(ada|grace|margaret|root|Hello|Maintenance|Doorbell|Editors|shop|Search|True|False|User-group relationships?)\b"
)
LEFT_OUT = ("script", "style", "code", "pre")


class Texts(HTMLParser):
    """What a page says: its texts, its buttons, and the attributes that a reader sees or hears."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag not in ("input", "link", "meta", "br", "img", "hr"):
            self.open.append(tag)
        self.found += [named[name] for name in SHOWN if named.get(name)]
        if tag == "input" and named.get("type") in ("submit", "button"):
            self.found.append(named.get("value") or "")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not {*LEFT_OUT} & {*self.open}:
            self.found.append(data.strip())


def untranslated(html):
    """Return the texts of a page that have words outside of ⟦ ⟧."""
    page = Texts()
    page.feed(html)
    rest = []
    for text in page.found:
        outside = text
        while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", " ", outside)) != outside:
            outside = shorter
        if WORD.search(DATA.sub(" ", outside)):
            rest.append(text)
    return rest


class Everything:
    """A catalogue that has each text."""

    def get(self, key, default=None):
        return self[key]

    def __getitem__(self, key):
        text = key.rpartition("\4")[2]
        return f"⟦{text}⟧" if WORD.search(text) else text

    def plural(self, key, number):
        return self[key]
