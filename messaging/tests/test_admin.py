"""The admin: real pages, by a real client. What it changes is told like any other change."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import notifications, tokens
from messaging.models import ApiToken, Inbox, Message, Notification, UserProfile
from messaging.tests.admin_client import AdminClient, admin_url
from messaging.tests.domain_replica import check_counts

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
    """The same kinds of rows, with two notifications each, without anybody being told."""
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


# --- Pages -------------------------------------------------------------------------------------------------------


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


# --- Messages ----------------------------------------------------------------------------------------------------


def test_a_message_sent_from_the_admin_notifies_its_receiver(admin, ada, grace, assigned):
    admin.post(reverse("admin:messaging_message_add"), sender=ada.pk, receiver=grace.pk, content="Hello!")
    [revision] = assigned(grace)
    assert revision.unread_count == 1
    assert revision.added[0].title == "New message from ada"


def test_a_message_to_oneself_is_refused(admin, ada):
    shown = admin.post(
        reverse("admin:messaging_message_add"), sender=ada.pk, receiver=ada.pk, content="Hello!"
    )
    assert "A message to oneself" in shown
    assert not Message.objects.exists()


def test_marking_messages_read_makes_receipts_lowers_the_badge_and_is_announced(
    admin, ada, grace, assigned, announced
):
    messages = [Message.objects.create(sender=ada, receiver=grace, content=f"{n}") for n in range(3)]
    assigned(grace)
    announced.clear()
    assert "3 messages marked read." in admin.run_action("mark_read", *messages)
    assert not Message.objects.filter(is_read=False).exists()
    touched = set().union(
        *(carried["user_ids"] for name, carried in announced if name == "notifications_pending")
    )
    assert touched == {ada.pk, grace.pk}
    [revision] = assigned(ada)
    assert [shape.notification_type for shape in revision.added] == ["message_read"] * 3
    [revision] = assigned(grace)
    assert (revision.unread_count, len(revision.read)) == (0, 3)
    check_counts(grace.pk)


def test_marking_messages_read_twice_makes_no_second_receipt(admin, ada, grace, assigned, announced):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("mark_read", message)
    assigned(ada)
    announced.clear()
    assert "0 messages marked read." in admin.run_action("mark_read", message)
    assert announced == []
    assert assigned(ada) == []


def test_marking_messages_unread_raises_the_badge_again_and_keeps_the_receipt(admin, ada, grace, assigned):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("mark_read", message)
    assigned(ada)
    assigned(grace)
    assert "1 message marked unread." in admin.run_action("mark_unread", message)
    message.refresh_from_db()
    assert message.is_read is False
    [revision] = assigned(grace)
    assert (revision.unread_count, len(revision.unread)) == (1, 1)
    assert assigned(ada) == []
    admin.run_action("mark_read", message)
    assert assigned(ada) == []
    [revision] = assigned(grace)
    assert revision.unread_count == 0


def test_marking_a_thousand_messages_takes_as_many_queries_as_two_batches(ada, grace):
    Message.objects.bulk_create(Message(sender=ada, receiver=grace, content="x") for _ in range(1000))
    with CaptureQueriesContext(connection) as captured:
        assert Message.objects.all().mark_read() == 1000
    assert len(captured) < 30
    assert Notification.objects.filter(user=ada, notification_type="message_read").count() == 1000


@pytest.mark.parametrize("is_read", [True, False])
def test_a_messages_page_marks_it_too(admin, ada, grace, assigned, is_read):
    message = Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    if not is_read:
        Message.objects.filter(pk=message.pk).mark_read()
    assigned(grace)
    fields = {"is_read": "on"} if is_read else {}
    admin.post(admin_url(message, "change"), content="Something else", **fields)
    message.refresh_from_db()
    assert (message.is_read, message.content) == (is_read, "Hello!")
    [revision] = assigned(grace)
    assert revision.unread_count == (0 if is_read else 1)
    assert Notification.objects.filter(user=ada).count() == 1


# --- Notifications -----------------------------------------------------------------------------------------------


@pytest.fixture
def three(ada, grace):
    """Unread notifications of two users, told."""
    rows = notifications.notify_many([ada, ada, grace], "announcement", "Hello")
    notifications.assign_revisions([ada.pk, grace.pk])
    return rows


def test_marking_notifications_read_and_unread_changes_each_ones_badge(
    admin, ada, grace, three, assigned, announced
):
    announced.clear()
    assert "3 notifications marked read." in admin.run_action("mark_read", *three)
    assert announced == [("notifications_pending", {"user_ids": {ada.pk, grace.pk}})]
    [revision] = assigned(ada)
    assert (revision.unread_count, len(revision.read)) == (0, 2)
    assert assigned(grace)[0].unread_count == 0
    assert "2 notifications marked unread." in admin.run_action("mark_unread", *three[:2])
    [revision] = assigned(ada)
    assert (revision.unread_count, len(revision.unread)) == (2, 2)
    assert assigned(grace) == []


def test_what_is_read_already_is_not_told_again(admin, ada, three, assigned, announced):
    admin.run_action("mark_read", three[0])
    assigned(ada)
    announced.clear()
    assert "0 notifications marked read." in admin.run_action("mark_read", three[0])
    assert announced == []


def test_removing_notifications_asks_first_and_leaves_tombstones(admin, ada, grace, three, assigned):
    asked = admin.run_action("delete_selected", *three[:2])
    assert "Are you sure" in asked
    assert Notification.objects.count() == 3
    admin.run_action("delete_selected", *three[:2], post="yes")
    assert list(Notification.objects.all()) == three[2:]
    assert Notification.everything.count() == 3
    [revision] = assigned(ada)
    assert (revision.unread_count, len(revision.removed)) == (0, 2)
    check_counts(ada.pk)


def test_removing_very_many_lists_only_some_of_them(admin, ada):
    rows = notifications.notify_many([ada] * 60, "announcement", "Hello")
    asked = admin.run_action("delete_selected", *rows)
    assert asked.count("Hello (for ada)") == 50
    assert "and 10 more" in asked
    assert "notifications: 60" in asked.lower()
    admin.run_action("delete_selected", *rows, post="yes")
    assert not Notification.objects.exists()


def test_deleting_one_notification_leaves_a_tombstone(admin, ada, three, assigned):
    admin.post(admin_url(three[0], "delete"), post="yes")
    assert Notification.everything.get(pk=three[0].pk).removed_at is not None
    [revision] = assigned(ada)
    assert revision.removed == [three[0].pk]


def test_a_notifications_page_marks_it_but_never_changes_its_texts(admin, ada, three, assigned):
    row = three[0]
    admin.post(admin_url(row, "change"), is_read="on", title="Changed", description="Changed", url="/x")
    row = Notification.objects.get(pk=row.pk)
    assert (row.title, row.description, row.url, row.is_read) == ("Hello", "", None, True)
    assert assigned(ada)[0].unread_count == 1
    admin.post(admin_url(row, "change"), is_read="on")
    assert assigned(ada) == []


def test_notifications_are_not_added_by_a_form_that_checks_nothing(admin):
    assert admin.client.get(reverse("admin:messaging_notification_add")).status_code == 403


# --- Profiles ----------------------------------------------------------------------------------------------------


def test_setting_users_online_and_offline_is_announced_once_for_all(admin, ada, grace, announced):
    profiles = list(UserProfile.objects.filter(user__in=[ada, grace]).order_by("user"))
    announced.clear()
    assert "2 users set online." in admin.run_action("set_online", *profiles)
    both = sorted([ada.pk, grace.pk])
    assert ("presence_changed", {"users": both}) in announced
    assert ("status_changed", {"online": both, "offline": []}) in announced
    profile = UserProfile.objects.get(user=ada)
    assert (profile.is_online, profile.version) == (True, 1)
    assert profile.offline_after is not None
    assert "0 users set online." in admin.run_action("set_online", *profiles)
    assert "1 user set offline." in admin.run_action("set_offline", profiles[0])
    profile = UserProfile.objects.get(user=profiles[0].user)
    assert (profile.is_online, profile.version, profile.offline_after) == (False, 2, None)


def test_somebody_set_online_is_announced_to_contacts_who_are_online(admin, ada, grace, assigned):
    Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("set_online", UserProfile.objects.get(user=grace))
    assigned(grace)
    admin.run_action("set_online", UserProfile.objects.get(user=ada))
    [revision] = assigned(grace)
    assert [shape.title for shape in revision.added] == ["ada is online"]


def test_a_profiles_page_takes_the_same_road(admin, ada, announced):
    profile = UserProfile.objects.get(user=ada)
    announced.clear()
    admin.post(admin_url(profile, "change"), is_online="on", version=70)
    profile.refresh_from_db()
    assert (profile.is_online, profile.version) == (True, 1)
    assert ("status_changed", {"online": [ada.pk], "offline": []}) in announced


def test_profiles_and_inboxes_go_with_their_user_and_not_before(admin, ada):
    for thing in (ada.profile, ada.inbox):
        assert admin.client.post(admin_url(thing, "delete"), {"post": "yes"}).status_code == 403
    admin.post(admin_url(ada, "delete"), post="yes")
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not Inbox.objects.filter(user_id=ada.pk).exists()


# --- Tokens ------------------------------------------------------------------------------------------------------


def secret_in(page):
    return page.split("<code>")[1].split("</code>")[0]


def test_a_tokens_secret_is_shown_once(admin, ada):
    shown = admin.post(reverse("admin:messaging_apitoken_add"), name="<shop>", can_publish="on")
    secret = secret_in(shown)
    assert "&lt;shop&gt;" in shown
    token = tokens.find(secret)
    assert (token.name, token.can_publish, token.user) == ("<shop>", True, None)
    for later in (admin.list("messaging_apitoken"), admin.page(token)):
        assert secret not in later
        assert token.hash not in later
    assert secret not in str(list(LogEntry.objects.values()))


def test_a_token_that_could_do_nothing_is_refused(admin):
    shown = admin.post(reverse("admin:messaging_apitoken_add"), name="shop")
    assert "in whose name it acts, or the right to publish" in shown
    assert not ApiToken.objects.exists()


def test_a_tokens_name_can_be_changed_and_nothing_else(admin, ada):
    token, secret = tokens.make("phone", user=ada)
    admin.post(
        admin_url(token, "change"),
        name="telephone",
        hash="x",
        can_publish="on",
        user="",
        revoked_at_0="2020-01-01",
    )
    assert tokens.find(secret) == token
    token.refresh_from_db()
    assert (token.name, token.can_publish, token.user) == ("telephone", False, ada)


def test_a_revoked_token_is_worth_nothing_and_stays_revoked(admin, ada):
    token, secret = tokens.make("phone", user=ada)
    assert "1 token revoked." in admin.run_action("revoke", token)
    assert tokens.find(secret) is None
    moment = ApiToken.objects.get().revoked_at
    assert LogEntry.objects.get().change_message == "Revoked."
    assert "0 tokens revoked." in admin.run_action("revoke", token)
    assert ApiToken.objects.get().revoked_at == moment


# --- Who may -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_only_staff_with_the_permission_see_a_list(staff, ada, name):
    model = name.split("_")[1]
    url = reverse(f"admin:{name}_changelist")
    assert Client().get(url).status_code == 302
    assert AdminClient(ada).client.get(url).status_code == 302
    somebody = staff(f"view_{model}")
    somebody.list(name)
    for other in set(LISTS) - {name}:
        assert somebody.client.get(reverse(f"admin:{other}_changelist")).status_code == 403


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
    somebody = staff("view_notification", "change_notification")
    assert somebody.actions("messaging_notification") == ["mark_read", "mark_unread"]
