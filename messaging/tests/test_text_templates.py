"""A type's own texts: filled from the data and from people's names, checked when the type is declared and at notify."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy, ngettext_lazy, pgettext_lazy

from messaging import notification_types
from messaging.exceptions import InvalidNotification
from messaging.models import Notification
from messaging.notification_types import NotificationType, register
from messaging.notifications import notify, notify_many
from messaging.tests.catalogues import texts_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def declare(monkeypatch):
    """declare(title=…): the type "comment", until the test ends."""
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))
    return lambda **fields: register(NotificationType(name="comment", label="Comment", **fields))


@pytest.mark.parametrize(
    "text",
    [
        "%(name)r",
        "%(name)5s",
        "%(name).3s",
        "%(name)i",
        "%(count)x",
        "%(user.password)s",
        "%(user[0])s",
        "%(a b)s",
        "%()s",
        "%(name)",
        "%(name",
        "%s",
        "%d",
        "100 %",
        "100% done",
        "%",
        "%%%",
        "%(name)%",
    ],
)
@pytest.mark.parametrize("part", ["title", "description", "group_title", "group_by"])
def test_what_could_do_more_than_show_a_name_is_refused_when_it_is_declared(text, part, declare):
    groups = {"group_by": "page"} if part == "group_title" else {}
    for form in (text, gettext_lazy(text), pgettext_lazy("context", text)):
        if part != "group_by" or isinstance(form, str):
            with pytest.raises(ValueError, match=f"The {part} of the notification type 'comment'"):
                declare(**groups | {part: form})
    for form in (ngettext_lazy(text, "fine", "n"), ngettext_lazy("fine", text, "n")):
        if part != "group_by":
            with pytest.raises(ValueError, match=part):
                declare(**groups | {part: form})


@pytest.mark.parametrize(
    "text", ["", "plain", "%(name)s", "%(größe)s", "100 %% of %(a_1)s%(b)d", "{name} {0}"]
)
def test_plain_texts_and_names_are_fine(text, declare):
    declare(title=text, description=text, group_by=text)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": ngettext_lazy("%d comment", "%d comments")}, "third argument"),
        ({"group_title": "%(count)s comments"}, "group_by"),
        ({"group_within": timedelta(hours=1)}, "group_by"),
        ({"group_by": "a", "group_within": timedelta()}, "positive"),
        ({"group_by": "a", "counts": False}, "created as read"),
        ({"group_by": "a", "presence_like": True}, "created as read"),
        ({"group_by": "%(actor)s"}, "actor"),
        ({"group_by": "a", "group_title": "%(recipient)s"}, "recipient"),
    ],
)
def test_what_can_never_be_right_is_refused_when_it_is_declared(fields, reason, declare):
    with pytest.raises(ValueError, match=reason):
        declare(**fields)
    with pytest.raises(TypeError, match="language"):
        declare(group_by=gettext_lazy("a"))


def test_texts_are_filled_from_data_and_names(declare, ada, grace):
    declare(title="%(actor)s → %(recipient)s: %(page)s, %(n)d", description="%(excerpt)s %% %(price)s")
    data = {"page": "Home", "n": 3, "excerpt": "Nice", "price": 4.5, "more": {"x": 1}}
    notify(ada, "comment", actor=grace, data=data)
    notify_many([ada.pk, grace.pk], "comment", actor=grace.pk, data=data)
    rows = Notification.objects.order_by("id").values_list("user_id", "title", "description", "data")
    assert list(rows) == [
        (user.pk, f"grace → {user.username}: Home, 3", "Nice % 4.5", data) for user in (ada, ada, grace)
    ]


def test_what_is_given_wins(declare, ada):
    declare(title="%(page)s", description="%(page)s")
    notify(ada, "comment", "100 %(page)s %", data={"page": "Home"})
    notify(ada, "comment", "Mine", "%(page)s", data={"page": "Home"})
    notify(ada, "comment", "Mine", "Mine")
    rows = Notification.objects.order_by("id").values_list("title", "description")
    assert list(rows) == [("100 %(page)s %", "Home"), ("Mine", "%(page)s"), ("Mine", "Mine")]


def test_what_is_put_in_is_never_a_template(declare, ada):
    declare(title="%(a)s%(b)s")
    notify(ada, "comment", data={"a": "%(b)s %", "b": "%%(a)s %s"})
    assert Notification.objects.get().title == "%(b)s %%%(a)s %s"


def test_the_data_come_before_the_names_of_people(declare, ada, grace):
    declare(title="%(actor)s")
    notify(ada, "comment", actor=grace, data={"actor": "Ada Lovelace"})
    assert Notification.objects.get().title == "Ada Lovelace"


@pytest.mark.parametrize(
    ("fields", "data", "reason"),
    [
        ({"title": "%(page)s"}, None, "data.page is missing: the title shows it"),
        ({"title": "%(page)s"}, {"Page": "Home"}, "data.page is missing"),
        ({"title": "x", "description": "%(page)s"}, {}, "the description shows it"),
        ({"title": "%(page)s"}, {"page": None}, "data.page is null"),
        ({"title": "%(page)s"}, {"page": True}, "data.page is true or false"),
        ({"title": "%(page)s"}, {"page": ["a"]}, "data.page is a list"),
        ({"title": "%(page)s"}, {"page": {"a": 1}}, "data.page is an object"),
        ({"title": "%(n)d"}, {"n": "3"}, "give an integer"),
        ({"title": "%(n)d"}, {"n": 3.5}, "give an integer"),
        ({"title": ngettext_lazy("one", "%(n)s", "n")}, {"n": "3"}, "give an integer"),
        ({"title": ngettext_lazy("one", "many", "n")}, {}, "data.n is missing"),
        ({"title": "%(actor)s"}, {}, "show the actor"),
        ({"title": "%(page)s"}, {"page": "\u200b"}, "shows nothing"),
        ({"title": "x", "group_by": "%(page)s"}, {}, "the group_by shows it"),
        ({"title": "x", "group_by": "p", "group_title": "%(page)s"}, {}, "the group_title shows it"),
        ({"title": "x", "group_by": "p", "group_title": "%(actor)s"}, {}, "show the actor"),
        ({}, {}, "A title is needed"),
    ],
)
def test_what_is_missing_is_an_error_and_nothing_is_stored(fields, data, reason, declare, ada):
    declare(**fields)
    for call in (notify, lambda user, *args, **options: notify_many([user], *args, **options)):
        with pytest.raises(InvalidNotification, match=reason):
            call(ada, "comment", data=data)
    assert not Notification.everything.exists()


def test_an_actor_who_does_not_exist_is_missing(declare, ada):
    declare(title="%(actor)s")
    with pytest.raises(InvalidNotification, match="one who exists"):
        notify(ada, "comment", actor=999_999)


FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("x" * 200, "x"),
        ("x" * 201, "x…"),
        ("ü" * 500, "ü…"),
        ("e\u0301" * 150, "e\u0301…"),
        ("x" + "e\u0301" * 150, "e\u0301…"),
        (FAMILY * 41, f"{FAMILY}…"),
        ("x" + FAMILY * 41, f"{FAMILY}…"),
        ("🇩🇪" * 101, "🇩🇪…"),
        ("x" + "🇩🇪" * 101, "🇩🇪…"),
        ("👍🏽" * 101, "👍🏽…"),
        ("x" + "👍🏽" * 101, "👍🏽…"),
        ("x" * 190 + " " * 20, "x…"),
        ("x" + "\u0301" * 400, "\u0301…"),
        ("क्षि" * 60, "क्षि…"),
    ],
)
def test_a_long_text_that_came_from_data_is_cut_between_what_is_seen_as_characters(text, end, declare, ada):
    declare(title="%(text)s", description="%(text)s")
    row = notify(ada, "comment", data={"text": text})
    assert row.title.endswith(end)
    assert 190 - len(FAMILY) <= len(row.title) <= 200
    assert row.title.removesuffix("…") == text[: len(row.title.removesuffix("…"))]
    assert len(row.description) <= 500


def test_what_a_value_may_not_show_is_replaced_and_it_reorders_nothing_else(declare, ada):
    declare(title="%(a)s and %(b)s", description="%(a)s")
    row = notify(ada, "comment", data={"a": "\x07ab\u202egpj.exe\u2067c", "b": "d\u2069" + "e" * 300})
    assert row.title.startswith("\ufffdab\ufffdgpj.exec and deee")
    assert row.description == "\ufffdab\ufffdgpj.exec"


def test_a_given_text_that_is_too_long_is_an_error(declare, ada):
    declare(title="%(text)s")
    with pytest.raises(InvalidNotification, match="200"):
        notify(ada, "comment", "x" * 201, data={"text": "x"})


def test_a_long_name_is_cut_as_in_the_types_that_came_first(declare, ada):
    declare(title="%(actor)s wrote")
    user = User(username="x" * 150, first_name="")
    user.save()
    assert notify(ada, "comment", actor=user).title == "x" * 150 + " wrote"


def test_plurals_are_chosen_by_their_number(declare, ada):
    declare(title=ngettext_lazy("%(n)d file in %(place)s", "%(n)d files in %(place)s", "n"))
    titles = [notify(ada, "comment", data={"n": n, "place": "a"}).title for n in (0, 1, 2)]
    assert titles == ["0 files in a", "1 file in a", "2 files in a"]


def test_a_group_key_is_made_of_the_data_and_stays_itself_when_it_is_long(declare, ada):
    declare(title="x", group_by="page:%(page)s")
    keys = [
        notify(ada, "comment", data={"page": page}).group_key
        for page in (7, "%(page)s", "x" * 300, "x" * 300 + "y", "x" * 300)
    ]
    assert keys[:2] == ["page:7", "page:%(page)s"]
    assert [len(key) for key in keys[2:]] == [200, 200, 200]
    assert keys[2] != keys[3]
    assert keys[2] == keys[4]


def test_the_title_of_a_group(declare):
    group_title = ngettext_lazy("%(count)d comment on %(page)s", "%(count)d comments on %(page)s", "count")
    declared = declare(title="x", group_by="p", group_title=group_title)
    for count, title in ((1, "1 comment on a"), (12, "12 comments on a")):
        made = declared.title_of_group({"page": "a", "count": 99}, actor=None, count=count, language="en")
        assert made == title
    with pytest.raises(InvalidNotification):
        declared.title_of_group(None, actor="ada", count=2, language="en")


def test_a_mistake_in_a_catalogue_costs_no_notification(declare, ada, caplog, monkeypatch):
    """The translation is at fault here, and not the type."""
    text = gettext_lazy("%(page)s has a comment")
    declare(title=text)
    german = texts_of("de")
    for wrong in ("%(seite)s hat einen Kommentar", "%(page)s: 100 %", "%(page)"):
        german.insert(0, {"%(page)s has a comment": wrong})
        try:
            ada.profile.language = "de"
            ada.profile.save()
            assert notify(ada, "comment", data={"page": "Home"}).title == "Home has a comment"
        finally:
            german.pop(0)
    assert caplog.text.count("can't be filled") == 1
