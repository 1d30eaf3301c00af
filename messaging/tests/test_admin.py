"""The admin's lists and pages, by a real client: what they show, what they cost, and who may see them."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import notifications, tokens
from messaging.models import ApiToken, Inbox, Message, Notification, UserProfile
from messaging.tests.admin_client import AdminClient, admin_url

pytestmark = pytest.mark.django_db(transaction=True)


LISTS = [f"messaging_{name}" for name in ("message", "notification", "userprofile", "inbox", "apitoken")]


def populate(start, count):
    """Rows of everything: each user writes to the one before, and has a token."""
    users = [User.objects.create_user(f"user{number:03}") for number in range(start, start + count)]
    for user, other in zip(users, [users[-1], *users], strict=False):
        Message.objects.create(sender=user, receiver=other, content=f"A message by {user.username}")
        tokens.make(f"token of {user}", user=user)
    Message.objects.filter(sender__in=users[: count // 2]).mark_read()
    notifications.assign_revisions([user.pk for user in users])


def populate_in_bulk(start, count):
    """The same kinds of rows, with two notifications each, made without events."""
    users = User.objects.bulk_create(
        User(username=f"bulk{number:04}") for number in range(start, start + count)
    )
    UserProfile.objects.bulk_create(UserProfile(user=user) for user in users)
    Inbox.objects.bulk_create(Inbox(user=user) for user in users)
    written = Message.objects.bulk_create(
        Message(sender=user, receiver=other, content=f"A message by {user.username}")
        for user, other in zip(users, [users[-1], *users], strict=False)
    )
    Notification.objects.bulk_create(
        Notification(
            user=user, actor=message.sender, message=message, notification_type="new_message", title="x"
        )
        for message in written
        for user in (message.sender, message.receiver)
    )
    ApiToken.objects.bulk_create(
        ApiToken(name=f"token of {user}", user=user, hash=f"{user.pk:064}") for user in users
    )


# --- Pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_every_list_and_every_row_has_a_page(admin, name):
    populate(0, 3)
    response = admin.client.get(reverse(f"admin:{name}_changelist"))
    assert response.status_code == 200
    rows = response.context["cl"].result_list
    assert len(rows) >= 3
    for row in rows:
        admin.page(row)


def test_every_list_takes_as_many_queries_for_1000_rows_as_for_10(admin):
    def queries():
        counts = {}
        for name in (*LISTS, "auth_user"):
            with CaptureQueriesContext(connection) as captured:
                admin.list(name)
            counts[name] = len(captured)
        return counts

    populate_in_bulk(0, 10)
    queries()
    few = queries()
    populate_in_bulk(10, 990)
    many = queries()
    print("queries of each list at 10 rows", few, "and at 1,000", many)
    assert many == few
    assert max(many.values()) <= 10


@pytest.mark.parametrize("name", [*LISTS, "auth_user"])
def test_a_list_is_found_by_search(admin, name):
    populate(0, 3)
    admin.list(name, q="user001")


def test_messages_show_who_wrote_what_to_whom_and_how_many_notifications_came_of_it(admin, ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="x" * 100)
    Message.objects.filter(pk=message.pk).mark_read()
    shown = admin.list("messaging_message")
    assert "x" * 60 + "…" in shown
    assert "x" * 61 not in shown
    for user in (ada, grace):
        assert admin_url(user, "change") in shown
    link = f"{reverse('admin:messaging_notification_changelist')}?message__id__exact={message.pk}"
    assert f'<a href="{link}">2</a>' in shown
    assert "2 notifications" in admin.client.get(link).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 2),
        ({"is_read__exact": 1}, 1),
        ({"is_read__exact": 0}, 1),
        ({"q": "second"}, 1),
        ({"q": "grace"}, 2),
        ({"q": "linus"}, 0),
        ({"timestamp__gte": "2020-01-01 00:00:00Z", "timestamp__lt": "2020-02-01 00:00:00Z"}, 0),
    ],
)
def test_messages_are_found_by_state_words_names_and_date(admin, ada, grace, query, found):
    Message.objects.create(sender=ada, receiver=grace, content="The first")
    Message.objects.create(sender=grace, receiver=ada, content="The second", is_read=True)
    response = admin.client.get(reverse("admin:messaging_message_changelist"), query)
    assert response.context["cl"].result_count == found


def test_messages_are_found_by_user_however_many_there_are(admin, ada, grace):
    User.objects.bulk_create(User(username=f"a{number:03}") for number in range(100))
    late = User.objects.create_user("zoe")
    Message.objects.create(sender=late, receiver=ada, content="Hello from far down the list")
    Message.objects.create(sender=ada, receiver=grace, content="Hi")
    shown = admin.list("messaging_message")
    assert shown.count("?sender__id__exact=") == 30
    shown = admin.list("messaging_message", sender__id__exact=late.pk)
    assert "far down the list" in shown
    assert "1 message\n" in shown
    assert f"?sender__id__exact={late.pk}" in shown


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, ""])
def test_a_made_up_user_in_the_address_is_no_error(admin, value):
    response = admin.client.get(
        reverse("admin:messaging_message_changelist"), {"sender__id__exact": value}, follow=True
    )
    assert response.status_code == 200


def test_notifications_show_their_type_and_lead_to_message_and_users(admin, ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    shown = admin.list("messaging_notification")
    assert "New message</td>" in shown
    for thing in (ada, grace, message):
        assert admin_url(thing, "change") in shown


def test_notifications_are_found_by_type_and_level_and_a_type_that_was_removed_is_still_shown(admin, ada):
    Notification.objects.create(user=ada, notification_type="of_yore", title="Old", level="error")
    notifications.notify(ada, "announcement", "New")
    assert "of_yore</td>" in admin.list("messaging_notification")
    found = admin.list("messaging_notification", notification_type="announcement")
    assert "1 notification\n" in found
    assert "of_yore" not in found
    assert "of_yore" in admin.list("messaging_notification", level="error")


def test_profiles_count_messages_and_notifications_and_lead_to_them(admin, ada, grace):
    for _ in range(3):
        Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    Notification.objects.filter(user=grace).first().delete()
    shown = admin.list("messaging_userprofile", q="grace")
    assert f'?sender__id__exact={grace.pk}">0</a>' in shown
    assert f'?receiver__id__exact={grace.pk}">3</a>' in shown
    assert f'?user__id__exact={grace.pk}">2</a>' in shown


def test_inboxes_show_their_state_and_nothing_can_be_changed(admin, ada):
    notifications.notify(ada, "announcement", "Hello")
    notifications.assign_revisions([ada.pk])
    shown = admin.page(ada.inbox)
    assert ada.inbox.epoch in shown
    assert 'name="_save"' not in shown
    assert admin.client.post(admin_url(ada.inbox, "change"), {"revision": 9}).status_code == 403
    assert admin.client.get(admin_url(ada.inbox, "delete")).status_code == 403
    assert admin.actions("messaging_inbox") == []
    assert admin.client.get(reverse("admin:messaging_inbox_add")).status_code == 403


# --- Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_only_staff_with_the_permission_see_a_list(staff, ada, name):
    model = name.split("_")[1]
    url = reverse(f"admin:{name}_changelist")
    assert Client().get(url).status_code == 302
    assert AdminClient(ada).client.get(url).status_code == 302
    user = staff(f"view_{model}")
    user.list(name)
    for other in set(LISTS) - {name}:
        assert user.client.get(reverse(f"admin:{other}_changelist")).status_code == 403


def test_who_may_only_look_may_not_mark(staff, ada, grace):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    token, secret = tokens.make("phone", user=ada)
    viewer = staff(
        *(f"view_{name}" for name in ("message", "notification", "userprofile", "apitoken")),
    )
    for name in set(LISTS) - {"messaging_inbox"}:
        assert viewer.actions(name) == []
    viewer.run_action("mark_read", message)
    viewer.run_action("mark_read", Notification.objects.get())
    viewer.run_action("delete_selected", Notification.objects.get(), post="yes")
    viewer.run_action("set_online", ada.profile)
    viewer.run_action("revoke", token)
    assert not Message.objects.filter(is_read=True).exists()
    assert not Notification.objects.filter(is_read=True).exists()
    assert Notification.objects.exists()
    assert not UserProfile.objects.filter(is_online=True).exists()
    assert tokens.find(secret)


def test_marking_needs_the_right_to_change_and_removing_the_right_to_delete(staff, ada):
    notifications.notify(ada, "announcement", "Hello")
    user = staff("view_notification", "change_notification")
    assert user.actions("messaging_notification") == ["mark_read", "mark_unread"]
