"""docs/extending.md's comments: its type as it stands there, and what twelve of them are to two users."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from django.utils.translation import trans_real

from messaging import inboxes, notification_types
from messaging.exceptions import InvalidNotification
from messaging.models import Notification
from messaging.notifications import notify
from messaging.profiles import set_preferences

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("example")]

PAGE = Path(__file__).resolve().parents[2] / "docs/extending.md"
DATA = {"author": "Grace", "page": "Home", "page_id": 7, "excerpt": "Well said"}


@pytest.fixture
def example(monkeypatch):
    monkeypatch.setattr(notification_types, "_types", dict(notification_types._types))
    section = PAGE.read_text().partition("## A type that grows")[2].partition("\n## ")[0]
    declaration, call = re.findall(r"```py\n(.*?)```", section, re.DOTALL)
    exec(declaration, {"__name__": "blog.notification_types"})
    return call


def test_twelve_comments_are_one_notification_with_an_action(ada, assigned, example):
    for number in range(12):
        exec(
            example, {"notify": notify, "page": type("Page", (), {"owner": ada}), "text": f"Comment {number}"}
        )
        assigned(ada)
    (row,) = Notification.objects.filter(user=ada)
    assert (row.title, row.description, row.group_count) == ("12 comments on Home", "Comment 11", 12)
    assert inboxes.unread_count(ada.pk) == 1


def test_each_recipient_gets_it_in_their_language(ada, grace, monkeypatch):
    german: Any = trans_real.translation("de")
    monkeypatch.setitem(
        german._catalog._catalogs[0], "%(author)s commented on %(page)s", "%(author)s zu %(page)s"
    )
    set_preferences(ada, language="de")
    with translation.override("fr"):
        notify(ada, "new_comment", data=DATA)
        notify(grace, "new_comment", data=DATA)
    titles = dict(Notification.objects.values_list("user__username", "title"))
    assert titles == {"ada": "Grace zu Home", "grace": "Grace commented on Home"}


@pytest.mark.parametrize("document", ["openapi", "asyncapi"])
def test_its_model_is_in_the_documents_by_the_name_that_the_page_says(document):
    schemas = Client().get(f"/api/v1/{document}.json").json()["components"]["schemas"]
    assert schemas["NewCommentData"]["properties"].keys() == DATA.keys()


def test_data_of_another_form_are_refused_with_the_place(ada):
    with pytest.raises(InvalidNotification, match="page_id"):
        notify(ada, "new_comment", data={**DATA, "page_id": "the first"})
    assert not Notification.everything.filter(user=ada).exists()
