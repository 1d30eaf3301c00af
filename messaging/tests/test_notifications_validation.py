"""What a notification may hold: types, texts, levels, urls and keys, refused or stored."""

import pytest
from django.db import transaction

from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Notification
from messaging.notifications import notify, notify_many

pytestmark = pytest.mark.django_db(transaction=True)


def refused(error, *args, **kwargs):
    with transaction.atomic():
        with pytest.raises(error):
            notify(*args, **kwargs)
        with pytest.raises(error):
            notify_many([args[0], args[0]], *args[1:], **kwargs)
        # Found out before the database was asked: the transaction goes on.
        assert not Notification.everything.exists()


@pytest.mark.parametrize("name", ["no_such_type", "", "NEW_MESSAGE", None])
def test_an_unknown_type_is_refused(ada, name):
    refused(UnknownNotificationType, ada, name, "Hello")


@pytest.mark.parametrize(
    "title", ["", "x" * 201, None, 5, b"bytes", "NUL \x00", "escape \x1b", "delete \x7f", "half \ud800"]
)
def test_a_title_that_cannot_be_stored_is_refused(ada, title):
    refused(InvalidNotification, ada, "announcement", title)


@pytest.mark.parametrize("description", ["x" * 501, None, 5, "NUL \x00", "half \udfff"])
def test_a_description_that_cannot_be_stored_is_refused(ada, description):
    refused(InvalidNotification, ada, "announcement", "Hello", description)


@pytest.mark.parametrize("level", ["critical", "INFO", "", 5, ["info"]])
def test_an_unknown_level_is_refused(ada, level):
    refused(InvalidNotification, ada, "announcement", "Hello", level=level)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "ftp://example.org/",
        "//example.org/",
        "/\\example.org/",
        "\\\\example.org/",
        "http:///example.org",
        "http:example.org",
        "https://",
        "news/1/",
        " /news/",
        "/news/ 1",
        "/news/\n",
        "/\t/example.org",
        "/né",
        "/" + "x" * 500,
        5,
        b"/news/",
    ],
)
def test_an_unsafe_url_is_refused(ada, url):
    refused(InvalidNotification, ada, "announcement", "Hello", url=url)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/news/1/?page=2#top",
        "?page=2",
        "#top",
        "http://example.org",
        "HTTPS://example.org/%20",
        "/" + "x" * 499,
    ],
)
def test_relative_and_web_urls_are_stored(ada, url):
    assert notify(ada, "announcement", "Hello", url=url).url == url
    assert Notification.objects.get().url == url


@pytest.mark.parametrize("key", ["", "x" * 201, 5, "NUL \x00"])
def test_a_key_that_cannot_be_stored_is_refused(ada, key):
    refused(InvalidNotification, ada, "announcement", "Hello", dedupe_key=key)


def test_the_longest_texts_are_stored(ada):
    notify(ada, "announcement", "é" * 200, "🎉" * 500, dedupe_key="k" * 200)
    row = Notification.objects.get()
    assert (row.title, row.description, row.dedupe_key) == ("é" * 200, "🎉" * 500, "k" * 200)


def test_percent_signs_and_quotes_are_stored_as_they_are(ada):
    notify(ada, "announcement", "100 %s of 'all' \"the\" %(x)s; --", "line\nbreak\ttab")
    row = Notification.objects.get()
    assert (row.title, row.description) == ("100 %s of 'all' \"the\" %(x)s; --", "line\nbreak\ttab")
