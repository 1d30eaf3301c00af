"""A notification's `data`: what is stored on every way in, and read on every way out."""

import pytest
from django.db import transaction

from messaging import inboxes, schemas
from messaging.broadcasting import broadcast
from messaging.events import revisions_assigned
from messaging.models import Notification
from messaging.notifications import assign_revisions, build, create, notify, notify_many
from messaging.tests.rows import sql

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {
    "order": {"number": "2026-1", "items": [{"name": "Kaffee ☕", "price": 4.5}, None, True, 3]},
    "quote'\\\"{}": "$body$ %s %(x)s {NULL}",
}


def by_notify(ada, grace):
    notify(ada, "announcement", "Hello", data=ORDER)


def in_a_transaction(ada, grace):
    with transaction.atomic():
        notify(ada, "announcement", "Hello", data=ORDER)


def held(ada, grace):
    with transaction.atomic():
        create([build(ada, "announcement", "Hello", data=ORDER)], held=True)


def by_notify_many(ada, grace):
    notify_many([ada, grace], "announcement", "Hello", data=ORDER)


def by_notify_many_in_a_transaction(ada, grace):
    with transaction.atomic():
        notify_many([ada, grace], "announcement", "Hello", data=ORDER)


def by_broadcast(ada, grace):
    broadcast([ada, grace], "announcement", "Hello", key="k", data=ORDER).run()


def by_save(ada, grace):
    Notification(user=ada, notification_type="announcement", title="Hello", data=ORDER).save()


def by_bulk_create(ada, grace):
    rows = [Notification(user=ada, notification_type="announcement", title="Hello", data=ORDER)]
    Notification.objects.bulk_create(rows)


def by_moving(ada, grace):
    by_notify(grace, ada)
    Notification.objects.update(user=ada)


WAYS = [by_notify, in_a_transaction, held, by_notify_many, by_notify_many_in_a_transaction, by_broadcast]
WAYS += [by_save, by_bulk_create, by_moving]


@pytest.mark.parametrize("numbering", ["numbered", "unnumbered"])
@pytest.mark.parametrize("way", WAYS)
def test_is_the_same_on_every_way_in_and_out(way, numbering, ada, grace, as_user, request):
    request.getfixturevalue(numbering)
    shown: list[schemas.Notification] = []

    def listen(sender, revisions, **kwargs):
        shown.extend(row for revision in revisions if revision.user_id == ada.pk for row in revision.added)

    revisions_assigned.connect(listen, weak=False)
    try:
        way(ada, grace)
        assign_revisions([ada.pk])
    finally:
        revisions_assigned.disconnect(listen)
    row = Notification.objects.get(user=ada)
    assert (row.data, row.language, row.group_key, row.group_count) == (ORDER, "", None, 1)
    assert [(one.data, one.group, one.count) for one in shown] == [(ORDER, None, 1)]
    (missed,) = inboxes.missed({ada.pk: 0})[ada.pk].rows
    assert missed.notification == shown[0]
    (item,) = as_user(ada).get("notifications")["items"]
    assert schemas.Notification.model_validate(item) == shown[0]


def test_what_raw_sql_stored_and_is_no_object_is_null(ada, as_user):
    row = notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    for stored in ("[1]", "null", "7", '"x"', '"{"'):
        sql("UPDATE messaging_notification SET data = %s WHERE id = %s", stored, row.pk)
        (item,) = as_user(ada).get("notifications")["items"]
        (missed,) = inboxes.missed({ada.pk: 0})[ada.pk].rows
        assert item["data"] is missed.notification.data is None
