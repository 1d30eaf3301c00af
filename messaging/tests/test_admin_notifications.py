"""Notifications in the admin: marking and removing them, on every device."""

import pytest
from django.urls import reverse

from messaging import notifications
from messaging.models import Notification
from messaging.tests.admin_client import admin_url
from messaging.tests.domain_replica import check_counts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three(ada, grace):
    """Unread notifications of two users, with their revisions."""
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


def test_a_notification_that_is_read_already_gets_no_new_revision(admin, ada, three, assigned, announced):
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
