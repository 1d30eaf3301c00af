"""Deleting in the admin: related rows are counted, not listed, in a constant number of queries."""

import pytest
from django.contrib.admin.utils import get_deleted_objects
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import CASCADE, PROTECT, RESTRICT
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext, isolate_apps

from messaging import notifications, tokens
from messaging.admin import deletion
from messaging.models import Message, Notification
from messaging.tests.admin_client import admin_url

pytestmark = pytest.mark.django_db(transaction=True)


def populate(user, other, count):
    Message.objects.bulk_create(Message(sender=user, receiver=other, content="Hi") for _ in range(count))
    notifications.notify_many([user] * count, "announcement", "Hello")
    notifications.assign_revisions([user.pk])


def test_a_user_with_very_many_notifications_is_confirmed_by_counts_and_in_as_many_queries(admin, ada, grace):
    def confirmation():
        with CaptureQueriesContext(connection) as captured:
            page = admin.client.get(admin_url(ada, "delete")).content.decode()
        return page, len(captured)

    populate(ada, grace, 5)
    confirmation()
    page, few = confirmation()
    assert "Notifications: 5" in page
    populate(ada, grace, 1500)
    page, many = confirmation()
    for shown in ("Notifications: 1505", "Messages: 1505", "User profiles: 1", "Inboxes: 1", "Users: 1"):
        assert shown in page
    assert page.count("Hello") == 0
    assert many == few < 30


def test_deleting_the_user_then_deletes_all_of_it_and_nothing_of_others(admin, ada, grace):
    populate(ada, grace, 20)
    populate(grace, ada, 3)
    admin.post(admin_url(ada, "delete"), post="yes")
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not Message.objects.exists()
    assert set(Notification.everything.values_list("user_id", flat=True)) == {grace.pk}


def test_the_counts_are_those_of_djangos_own_page(admin, root, ada, grace):
    """Django's own page loads every row; both must always show the same."""
    populate(ada, grace, 4)
    ada.groups.add(Group.objects.create(name="engineers"))
    tokens.make("phone", user=ada)
    notifications.remove(ada, [Notification.objects.filter(user=ada).first().pk])
    request = RequestFactory().get("/admin/auth/user/")
    request.user = root
    from django.contrib import admin as django_admin

    page = django_admin.site.get_model_admin(User)
    assert isinstance(page, deletion.BoundedDeletionAdmin)
    lines, counts, needed, protected = page.get_deleted_objects(User.objects.filter(pk=ada.pk), request)
    _, their_counts, their_needed, their_protected = get_deleted_objects([ada], request, django_admin.site)
    assert {str(name): number for name, number in counts.items()} == {
        str(name): number for name, number in their_counts.items()
    }
    assert counts["notifications"] == 4
    assert (needed, protected) == (their_needed, their_protected) == (set(), [])
    assert len(lines) == 1


def test_missing_rights_to_delete_related_rows_are_named(staff, ada):
    notifications.notify(ada, "announcement", "Hello")
    user = staff("view_user", "delete_user")
    page = user.client.get(admin_url(ada, "delete")).content.decode()
    assert "doesn't have permission" in page or "doesn&#x27;t have permission" in page
    assert "<li>notification</li>" in page
    user.client.post(admin_url(ada, "delete"), {"post": "yes"})
    assert User.objects.filter(pk=ada.pk).exists()


@isolate_apps("messaging")
def test_rows_in_the_way_are_found_at_any_depth():
    from django.db import models

    class Customer(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "messaging"

    class Order(models.Model):  # noqa: DJ008
        customer = models.ForeignKey(Customer, on_delete=CASCADE)
        follows = models.ForeignKey("self", null=True, on_delete=CASCADE)

        class Meta:
            app_label = "messaging"

    class Invoice(models.Model):  # noqa: DJ008
        order = models.ForeignKey(Order, on_delete=PROTECT)
        customer = models.ForeignKey(Customer, on_delete=RESTRICT)
        note = models.ForeignKey(Order, null=True, on_delete=models.SET_NULL, related_name="+")

        class Meta:
            app_label = "messaging"

    going, staying = deletion.related_lookups(Customer)
    assert {model.__name__: lookups for model, lookups in going.items()} == {
        "Order": ["customer", "follows__customer"]
    }
    assert {(model.__name__, kind): sorted(lookups) for (model, kind), lookups in staying.items()} == {
        ("Invoice", RESTRICT): ["customer"],
        ("Invoice", PROTECT): ["order__customer", "order__follows__customer"],
    }


def test_more_than_a_form_can_hold_are_not_deleted_at_once(admin, ada, grace, monkeypatch):
    populate(ada, grace, 5)
    monkeypatch.setattr(deletion, "MAX_SELECTED", 4)
    page = admin.run_action("delete_selected", *Message.objects.all())
    assert "5 rows selected: at most 4 can be deleted at once." in page
    assert "Are you sure" in admin.run_action("delete_selected", *Message.objects.all()[:4])
