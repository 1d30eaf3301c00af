"""Titles and descriptions show something, in the order in which they were written; languages and emoji are whole."""

import pytest

from messaging import texts
from messaging.exceptions import InvalidNotification
from messaging.models import Message, Notification
from messaging.notifications import notify

NOTHING = {
    "blanks": "   ",
    "no-break and wide blanks": "\u00a0\u2003\u3000",
    "line breaks": "\n\t\r\n",
    "zero-width characters": "\u200b\u200c\u200d\u2060\ufeff",
    "a soft hyphen": "\u00ad",
    "direction marks": "\u200e\u200f\u061c",
    "isolates around nothing": "\u2068\u2069",
    "fillers": "\u3164\u115f\u1160\uffa0",
    "a blank braille pattern": "\u2800",
    "variation selectors": "\ufe0f\U000e0100",
    "tags": "\U000e0041\U000e007f",
    "separators": "\u2028\u2029",
}
MISLEADING = {
    "an override": "\u202egpj.exe",
    "an override that is closed": "a\u202egpj\u202c.exe",
    "an override from left to right": "\u202dabc\u202c",
    "an embedding that isn't closed": "\u202babc",
    "an isolate that isn't closed": "a \u2067b",
    "a closing that closes nothing": "abc\u2069",
    "closed in the wrong order": "\u2067\u202babc\u2069\u202c",
    "C1": "x\u0085y",
    "a terminal's control sequence": "x\u009b2J",
    "C0": "x\x1b[2J",
}
WHOLE = {
    "Hebrew": "שלום לכולם",
    "Arabic with marks": "\u200fمرحبا، \u200eDoorbell\u200f!",  # noqa: RUF001
    "a name in isolates": "\u2068Ada\u2069 כתבה לך",
    "isolates in isolates": "\u2067א \u2066b \u2068c\u2069\u2069\u2069",
    "an embedding": "a \u202bאב\u202c c",
    "Persian with a non-joiner": "می\u200cخواهم",  # noqa: RUF001
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a heart": "\u2764\ufe0f",
    "the flag of Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a skin tone": "\U0001f44b\U0001f3fd",
    "Devanagari": "क्\u200dष",
    "lines": "one\ntwo\tthree",
    "a single dot": ".",
    "a private character": "\ue000",
}


@pytest.mark.parametrize("what", NOTHING)
def test_a_title_that_shows_nothing_is_refused(db, ada, what):
    assert not texts.shows_something(NOTHING[what])
    with pytest.raises(InvalidNotification, match="title"):
        notify(ada, "announcement", NOTHING[what])
    assert not Notification.objects.exists()


@pytest.mark.parametrize("what", MISLEADING)
def test_a_title_or_description_that_misleads_is_refused(db, ada, what):
    for name, title, description in (("title", MISLEADING[what], ""), ("description", "t", MISLEADING[what])):
        with pytest.raises(InvalidNotification, match=f"The {name} must"):
            notify(ada, "announcement", title, description)
    assert not Notification.objects.exists()


@pytest.mark.parametrize("what", WHOLE)
def test_languages_and_emoji_are_stored_as_they_are(db, ada, what):
    row = notify(ada, "announcement", WHOLE[what], WHOLE[what])
    row.refresh_from_db()
    assert (row.title, row.description) == (WHOLE[what], WHOLE[what])


@pytest.mark.parametrize("text", [*NOTHING.values(), *MISLEADING.values(), *WHOLE.values()])
def test_what_is_quoted_can_be_shown(text):
    quoted = texts.printable(text)
    assert texts.fault_of(quoted) is None
    if text in WHOLE.values():
        assert quoted == text
    # Any part of it, too.
    assert all(texts.fault_of(texts.printable(text[:end])) is None for end in range(len(text)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("content", [*NOTHING.values(), *MISLEADING.values(), "x" * 49 + "\u2068Ada\u2069"])
def test_a_message_is_stored_as_it_is_and_its_receiver_is_notified(ada, grace, content):
    Message.objects.create(sender=ada, receiver=grace, content=content)
    row = Notification.objects.get(user=grace)
    assert row.message.content == content
    assert texts.shows_something(row.title)
    assert texts.fault_of(row.description) is None
