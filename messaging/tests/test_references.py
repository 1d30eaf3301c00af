"""What may stand for a user, a message or a text: whatever else is given is refused by name, before any SQL."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse_lazy
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy, override

from messaging.blocks import block
from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Message, Notification, UserProfile
from messaging.notification_types import NotificationType, register
from messaging.notifications import mark_read, mark_unread, notify, notify_many, remove

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


def test_lazy_texts_are_texts_of_the_recipients_language(ada):
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
    assert (row.title, row.description, row.dedupe_key) == ("Monday", "Tuesday", "Freitag")
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


# --- Notifications, and the ORM's own doors ---------------------------------------------------------------------------


@pytest.fixture
def rows(ada, grace):
    """Two of Ada's notifications, whose ids have one digit, and two of Grace's."""
    made = [
        Notification(pk=number, user=user, notification_type="announcement", title="x")
        for number, user in ((1, ada), (2, ada), (3, grace), (4, grace))
    ]
    return Notification.objects.bulk_create(made)


@pytest.mark.parametrize(
    "given",
    [
        lambda rows: rows,
        lambda rows: [row.pk for row in rows],
        lambda rows: Notification.objects.order_by("pk"),
        lambda rows: Notification.objects.values_list("pk", flat=True),
        lambda rows: (row.pk for row in rows),
        lambda rows: {row.pk: row for row in rows},
    ],
    ids=["instances", "ids", "queryset", "values", "generator", "dictionary"],
)
@pytest.mark.parametrize("change", [mark_read, remove])
def test_notifications_are_instances_or_ids(ada, rows, given, change):
    assert change(ada, given(rows)) == [1, 2]


@pytest.mark.parametrize(
    "given",
    [
        "12",
        b"12",
        1,
        [None],
        ["1"],
        [True],
        [1.0],
        [1, "x"],
        [10**30],
        [User(pk=1)],
        [Notification()],
        object(),
    ],
    ids=lambda each: repr(each)[:20] if not isinstance(each, list) else None,
)
@pytest.mark.parametrize("change", [mark_read, mark_unread, remove])
def test_what_is_no_notification_is_refused(ada, rows, given, change):
    with pytest.raises(InvalidNotification, match="notification"):
        change(ada, given)
    assert Notification.objects.filter(is_read=False).count() == 4


@pytest.mark.parametrize("change", [mark_unread, remove])
def test_no_notifications_are_not_all(ada, rows, change):
    with pytest.raises(InvalidNotification, match="not a NoneType"):
        change(ada, None)
    assert Notification.objects.filter(is_read=False).count() == 4


@pytest.mark.parametrize("given", [str, float, Decimal, type("Key", (int,), {})])
def test_the_orm_takes_a_key_as_django_does(ada, grace, given, announced):
    message = Message.objects.create(sender_id=given(ada.pk), receiver_id=given(grace.pk), content="Hello")
    assert grace.notifications.get().message == message
    message.is_read = True
    message.save()
    assert ada.notifications.get().notification_type == "message_read"
    Notification.objects.create(user_id=given(ada.pk), notification_type="announcement", title="x")
    Notification.objects.bulk_create([Notification(user_id=given(ada.pk), title="x")])
    carried = [event["user_ids"] for name, event in announced if name == "notifications_pending"]
    assert {type(key) for keys in carried for key in keys} == {int}


def test_what_is_no_key_is_djangos_own_error(ada):
    with pytest.raises(ValueError, match="expected a number but got 'ada'"):
        Message.objects.create(sender=ada, receiver_id="ada", content="Hello")


@pytest.mark.parametrize(
    "content", [gettext_lazy("Monday"), mark_safe("<b>"), 5], ids=["lazy", "safe", "number"]
)
def test_a_messages_content_may_be_lazy(ada, grace, content):
    Message.objects.create(sender=ada, receiver=grace, content=content)
    assert grace.notifications.get().description.endswith(str(content))


def test_a_copy_of_a_message_is_a_new_message(ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello")
    block(grace.pk, ada.pk)
    message.pk = None
    message.save()
    assert Message.objects.get(pk=message.pk).is_withheld
    assert grace.notifications.count() == 1


@pytest.mark.parametrize(
    ("column", "text", "fault"),
    [
        ("title", "x" * 10_000_000, "up to 200 characters"),
        ("title", "a\0b", "NUL"),
        ("title", "a\ud800b", "surrogate"),
        ("description", "x" * 501, "up to 500 characters"),
        ("notification_type", "x" * 51, "up to 50 characters"),
        ("dedupe_key", "x" * 201, "up to 200 characters"),
    ],
    ids=lambda each: each[:12],
)
def test_the_orm_refuses_a_text_that_no_column_takes(ada, rows, column, text, fault):
    fields = {"notification_type": "announcement", "title": "x", column: text}
    for write in (
        lambda: Notification.objects.create(user=ada, **fields),
        lambda: Notification.objects.bulk_create([Notification(user=ada, **fields)]),
        lambda: Notification.objects.update(**{column: text}),
    ):
        with pytest.raises(InvalidNotification, match=f"{column} must .*{fault}"):
            write()
    assert Notification.objects.count() == 4
