"""Sending a notification in the admin: a form, a confirmation, and then each of the chosen users is notified, once."""

import re

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import notification_types
from messaging.admin import send_form, sending
from messaging.models import Notification, UserProfile
from messaging.tests.admin_client import AdminClient

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/admin/messaging/notification/send/"


def filled(page):
    """The hidden fields of a form, as a browser would send them."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input type=\"hidden\"[^>]*>", page.split('<div id="content-main">')[1]):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        found.setdefault(attributes["name"], []).append(attributes.get("value", ""))
    return found


def form(**changes):
    return {"notification_type": "announcement", "title": "Maintenance", "key": "k1"} | changes


def confirm(admin, page, **fields):
    """Press the button of the page that asks."""
    sent = {name: values for name, values in filled(page).items() if name != "csrfmiddlewaretoken"}
    return admin.post(URL, **sent, **({"confirmed": "yes"} | fields))


def test_nothing_is_sent_until_it_is_confirmed_and_then_all_are_notified(admin, root, ada, grace, assigned):
    page = admin.post(
        URL,
        **form(
            users=[ada.pk],
            usernames="grace,\r\nada",
            description="At noon.\r\nFor an hour.",
            level="warning",
            url="/status/",
        ),
    )
    contents = ("To 2 users", "ada, grace", "Maintenance", "At noon.<br>For an hour.", "/status/")
    for shown in (*contents, "Announcement, warning"):
        assert shown in page
    assert not Notification.objects.exists()
    assert "“Maintenance” was sent to 2 users." in confirm(admin, page)
    for user in (ada, grace):
        [revision] = assigned(user)
        [row] = revision.added
        assert (row.title, row.description, row.level, row.url, row.actor) == (
            "Maintenance",
            "At noon.\nFor an hour.",
            "warning",
            "/status/",
            None,
        )
        assert revision.unread_count == 1
    [entry] = LogEntry.objects.all()
    assert (entry.user, entry.action_flag, entry.object_repr) == (root, ADDITION, "Maintenance")
    assert entry.change_message == "Sent to 2 users: ada, grace."
    assert "Maintenance" in admin.client.get(reverse("admin:index")).content.decode()


def test_a_button_that_is_pressed_twice_sends_once(admin, ada):
    page = admin.post(URL, **form(usernames="ada"))
    confirm(admin, page)
    assert "it is not sent twice" in confirm(admin, page)
    assert Notification.objects.count() == LogEntry.objects.count() == 1


def test_two_forms_send_two(admin, ada):
    for _ in range(2):
        key = filled(admin.client.get(URL).content.decode())["key"]
        confirm(admin, admin.post(URL, **form(usernames="ada", key=key)))
    assert Notification.objects.count() == 2


def test_change_shows_the_form_again_as_it_was(admin, ada):
    page = confirm(admin, admin.post(URL, **form(usernames="ada", level="error")), change="yes", confirmed="")
    assert 'value="Maintenance"' in page
    assert '<option value="error" selected>' in page
    assert not Notification.objects.exists()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"usernames": ""}, "Choose at least one user."),
        ({"usernames": "ada, nobody, gone"}, "There is no active user &#x27;gone&#x27;, &#x27;nobody&#x27;."),
        ({"users": "999999"}, "not one of the available choices"),
        ({"users": "x", "usernames": ""}, "Choose at least one user."),
        ({"users": "9" * 30, "usernames": ""}, "Choose at least one user."),
        (
            {"title": ""},
            "A title is needed: the notification type &#x27;announcement&#x27; has none of its own.",
        ),
        ({"title": "x" * 201}, "at most 200 characters"),
        ({"title": "a\x07b"}, "must not contain control characters"),
        ({"description": "x" * 501}, "at most 500 characters"),
        ({"url": "javascript:alert(1)"}, "The url must be relative"),
        ({"level": "loud"}, "loud is not one of the available choices"),
        ({"notification_type": "user_online"}, "user_online is not one of the available choices"),
        ({"key": ""}, "Please correct"),
    ],
)
def test_what_is_wrong_is_said_in_the_form_and_nothing_is_sent(admin, ada, changes, what):
    User.objects.create_user("gone", is_active=False)
    page = admin.post(URL, **(form(usernames="ada") | changes), confirmed="yes")
    assert what in page
    assert "errornote" in page
    assert not Notification.objects.exists()


def test_everything_that_is_wrong_is_said_at_once(admin):
    page = admin.post(URL, **form(usernames="nobody", url="javascript:alert(1)"))
    assert "There is no active user" in page
    assert "The url must be relative" in page


def test_many_names_are_counted_and_some_of_them_shown(admin, monkeypatch):
    names = [f"user{number:04}" for number in range(1200)]
    User.objects.bulk_create(User(username=name) for name in names)
    with CaptureQueriesContext(connection) as captured:
        page = admin.post(URL, **form(usernames="\n".join(names)))
    assert len(captured) < 12
    assert "To 1,200 users" in page
    assert "user0049 and 1,150 more" in page
    confirm(admin, page)
    assert Notification.objects.count() == 1200
    assert LogEntry.objects.get().change_message.endswith("user0049 and 1,150 more.")
    monkeypatch.setattr(send_form, "MAX_RECEIVERS", 1000)
    assert "1,200 users are too many" in admin.post(URL, **form(usernames="\n".join(names)))


def test_a_type_declared_elsewhere_can_be_chosen_and_those_about_presence_cannot(admin):
    page = admin.client.get(URL).content.decode()
    offered = set(re.findall(r'<option value="([a-z_]+)"', page))
    declared = {known.name for known in notification_types.all_types() if known.sendable}
    assert declared - {"user_online", "user_offline"} <= offered
    assert not {"user_online", "user_offline"} & offered


@pytest.mark.parametrize("of", ["accounts", "profiles"])
def test_selected_people_are_put_into_the_form(admin, ada, grace, linus, of):
    User.objects.filter(pk=linus.pk).update(is_active=False)
    chosen = [ada, grace, linus]
    things = chosen if of == "accounts" else list(UserProfile.objects.filter(user__in=chosen))
    page = admin.run_action("send_notification", *things)
    assert "ada\ngrace</textarea>" in page
    assert "1 inactive user skipped." in page
    confirm(admin, admin.post(URL, **form(usernames="ada\r\ngrace")))
    assert set(Notification.objects.values_list("user_id", flat=True)) == {ada.pk, grace.pk}


def test_too_many_or_only_inactive_users_selected_is_an_error_in_the_list(admin, ada, grace, monkeypatch):
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert "None of the selected users is active." in admin.run_action("send_notification", ada)
    monkeypatch.setattr(sending, "MAX_RECEIVERS", 1)
    assert "More than 1 users are selected" in admin.run_action(
        "send_notification", grace, User.objects.get(username="root")
    )


def test_sending_needs_its_own_permission(staff, ada):
    user = staff("view_notification", "change_notification", "view_user", "view_userprofile")
    assert user.client.get(URL).status_code == 403
    assert user.client.post(URL, form(usernames="ada", confirmed="yes")).status_code == 403
    assert URL not in user.list("messaging_notification")
    for name in ("auth_user", "messaging_userprofile"):
        assert "send_notification" not in user.actions(name)
    assert not Notification.objects.exists()


def test_that_permission_alone_is_enough_and_names_are_then_typed(staff, ada):
    sender = staff("send_notification")
    page = sender.client.get(URL).content.decode()
    assert 'name="usernames"' in page
    assert 'name="users"' not in page
    confirmed = confirm(sender, sender.post(URL, **form(usernames="ada")))
    assert "was sent to 1 user" in confirmed
    assert Notification.objects.get().user == ada


def test_with_the_right_to_see_them_people_are_chosen_from_a_list(staff, ada):
    sender = staff("send_notification", "view_notification", "view_user")
    assert 'name="users"' in sender.client.get(URL).content.decode()
    assert URL in sender.list("messaging_notification")
    asked = {"app_label": "messaging", "model_name": "notification", "field_name": "user", "term": "ad"}
    answer = sender.client.get(reverse("admin:autocomplete"), asked).json()
    assert [found["text"] for found in answer["results"]] == ["ada"]


def test_who_is_not_signed_in_is_sent_to_the_sign_in(client, ada):
    for visitor in (client, AdminClient(ada).client):
        assert visitor.get(URL).status_code == 302


def test_types_that_belong_to_a_receiver_are_not_offered(admin):
    page = admin.client.get(reverse("admin:messaging_notification_send")).content.decode()
    assert 'value="announcement"' in page
    assert not any(f'value="{name}"' in page for name in ("new_message", "message_read", "user_online"))
