"""What may stand for a user, a message or a text: whatever else is given is refused by name, before any SQL."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse_lazy
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy, override

from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Message, Notification, UserProfile
from messaging.notification_types import NotificationType, register
from messaging.notifications import mark_read, notify, notify_many

pytestmark = pytest.mark.django_db(transaction=True)


class Proxy(User):
    class Meta:
        proxy = True
        app_label = "auth"


def refusal(*args, many=False, **kwargs):
    """Return the error's text. Found out before the database was asked: the transaction goes on."""
    with transaction.atomic():
        with CaptureQueriesContext(connection) as captured, pytest.raises(InvalidNotification) as raised:
            (notify_many if many else notify)(*args, **kwargs)
        assert not [query for query in captured if "INSERT" in query["sql"]]
        assert not Notification.everything.exists()
    return str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        lambda ada: ada,
        lambda ada: ada.pk,
        lambda ada: Proxy.objects.get(pk=ada.pk),
        lambda ada: SimpleLazyObject(lambda: ada),
        lambda ada: User.objects.only("pk").get(pk=ada.pk),
    ],
    ids=["instance", "id", "proxy", "lazy", "deferred"],
)
def test_a_user_is_an_instance_or_an_id(ada, given):
    assert notify(given(ada), "announcement", "Hello", actor=given(ada)).user_id == ada.pk
    assert mark_read(given(ada))


@pytest.mark.parametrize(
    "given",
    [None, "1", "ada", b"1", True, False, 1.0, 10**30, -(10**30), [1], (1,), {}, {"pk": 1}, object(), User],
    ids=repr,
)
def test_what_is_no_user_is_refused(ada, given):
    assert "user must be an instance of auth.User or its id" in refusal(given, "announcement", "Hello")
    assert "user must be" in refusal([ada, given], "announcement", "Hello", many=True)
    if given is not None:
        assert "actor must be" in refusal(ada, "announcement", "Hello", actor=given)
    with pytest.raises(InvalidNotification):
        mark_read(given)


def test_nobody_and_users_who_are_not_stored_are_refused(ada, grace):
    grace.delete()
    lazy = SimpleLazyObject(AnonymousUser)
    assert "no signed-in user" in refusal(AnonymousUser(), "announcement", "Hello")
    assert "no signed-in user" in refusal(lazy, "announcement", "Hello")
    assert "isn't stored" in refusal(User(username="new"), "announcement", "Hello")
    assert "isn't stored" in refusal(grace, "announcement", "Hello")
    assert "isn't stored" in refusal(ada, "announcement", "Hello", actor=grace)


def test_another_models_row_is_refused_although_it_has_a_users_id(ada):
    group = Group.objects.create(pk=ada.pk, name="readers")
    text = refusal(group, "announcement", "Hello")
    assert f"not the Group with the id {ada.pk}" in text
    assert "notify_many(group.user_set.all(), …)" in text
    assert "group.user_set.all()" in refusal(group, "announcement", "Hello", many=True)
    profile = UserProfile.objects.get(user=ada)
    profile.pk = ada.pk
    assert "For its user give .user." in refusal(profile, "announcement", "Hello")


def test_many_users_are_a_queryset_or_any_iterable_of_them(ada, grace):
    for users in (
        User.objects.order_by("pk"),
        User.objects.values_list("pk", flat=True),
        [ada, grace.pk],
        (user for user in (ada, grace)),
        {ada, grace},
        {ada.pk: "ada", grace.pk: "grace"},
    ):
        assert {row.user_id for row in notify_many(users, "announcement", "Hello")} == {ada.pk, grace.pk}


@pytest.mark.parametrize("users", [None, 5, "ada", b"ada", "", User.objects, User], ids=repr)
def test_what_is_no_iterable_of_users_is_refused(ada, users):
    assert refusal(users, "announcement", "Hello", many=True)


def test_one_user_is_not_many(ada):
    assert "must be an iterable of users" in refusal(ada, "announcement", "Hello", many=True)


def test_an_error_in_a_generator_is_its_own_and_nothing_is_stored(ada):
    def users():
        yield ada
        raise LookupError

    with pytest.raises(LookupError):
        notify_many(users(), "announcement", "Hello")
    assert not Notification.objects.exists()


@pytest.mark.parametrize(
    "message",
    ["1", True, 1.5, 10**30, User(pk=1), Message(content="x")],
    ids=lambda each: type(each).__name__,
)
def test_what_is_no_message_is_refused(ada, message):
    assert "message" in refusal(ada, "announcement", "Hello", message=message)


# --- Texts ------------------------------------------------------------------------------------------------------------


def test_lazy_texts_are_texts_of_the_language_at_the_call(ada):
    with override("de"):
        row = notify(
            ada,
            "announcement",
            gettext_lazy("Monday"),
            gettext_lazy("Tuesday"),
            url=reverse_lazy("admin:index"),
            dedupe_key=gettext_lazy("Friday"),
        )
    row = Notification.objects.get(pk=row.pk)
    assert (row.title, row.description, row.dedupe_key) == ("Montag", "Dienstag", "Freitag")
    assert row.url.endswith("/admin/")


def test_a_lazy_text_is_checked_as_any_other(ada):
    lazy = gettext_lazy("")
    assert "title" in refusal(ada, "announcement", lazy)
    assert "url" in refusal(ada, "announcement", "Hello", url=gettext_lazy("javascript:alert(1)"))


def test_the_orm_takes_lazy_texts_too(ada):
    texts: dict[str, Any] = {
        "title": gettext_lazy("Monday"),
        "url": reverse_lazy("admin:index"),
        "level": gettext_lazy("info"),
    }
    row = Notification.objects.create(user=ada, notification_type="announcement", **texts)
    row.refresh_from_db()
    assert (row.title, row.level) == ("Monday", "info")


def test_subclasses_of_str_are_stored_as_plain_texts(ada):
    row = notify(ada, "announcement", mark_safe("<b>"), level=mark_safe("info"))
    assert type(row.title) is str


@pytest.mark.parametrize("name", [["announcement"], {}, None, 5])
def test_a_type_that_is_no_name_is_unknown(ada, name):
    with pytest.raises(UnknownNotificationType):
        notify(ada, name, "Hello")


@pytest.mark.parametrize("name", ["", "x" * 51])
def test_a_types_name_fits_its_column(name):
    with pytest.raises(ValueError, match="1 to 50 characters"):
        register(NotificationType(name=name, label="x"))
