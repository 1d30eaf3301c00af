"""A notification's `data`: what is stored on every way in, and read on every way out."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import transaction

from messaging import inboxes, schemas
from messaging.broadcasting import broadcast
from messaging.events import revisions_assigned
from messaging.exceptions import InvalidNotification
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


def nested(depth):
    return {"a": nested(depth - 1)} if depth > 1 else {}


LOOP: list[object] = []
LOOP += [LOOP, LOOP]
BAD = [
    ([1], "must be a dict"),
    ("text", "must be a dict"),
    (7, "must be a dict"),
    ({"x": float("nan")}, "data.x is nan"),
    ({"x": [1, float("inf")]}, r"data.x\[1\] is inf"),
    ({"x": {"y": float("-inf")}}, "data.x.y is -inf"),
    ({"x": 2**53}, "data.x is a number beyond"),
    ({"x": -(2**53)}, "data.x is a number beyond"),
    ({"x": 1e300}, "data.x is a number beyond"),
    ({"x": "a\0b"}, "data.x must contain neither NUL"),
    ({"x": "\ud800"}, "data.x must contain neither NUL"),
    ({"a\0": 1}, "a key of data"),
    ({"\udfff": 1}, "a key of data"),
    ({1: 2}, "data has the key 1"),
    ({None: 2}, "data has the key None"),
    ({"x": {("a",): 2}}, "data.x has the key"),
    ({"x": {1, 2}}, "data.x is a set.*list"),
    ({"x": b"a"}, "data.x is a bytes.*text"),
    ({"x": date(2026, 1, 1)}, "data.x is a date.*isoformat"),
    ({"x": datetime(2026, 1, 1, tzinfo=UTC)}, "data.x is a datetime.*isoformat"),
    ({"x": timedelta(1)}, "data.x is a timedelta.*total_seconds"),
    ({"x": Decimal("1.5")}, "data.x is a Decimal.*str"),
    ({"x": UUID(int=1)}, "data.x is a UUID.*str"),
    ({"x": object()}, "data.x is a object"),
    ({"x": len}, "data.x is a builtin"),
    (
        {"order": {"items": [1, 2, 3, Notification(pk=5)]}},
        r"data.order.items\[3\] is the Notification.*its id",
    ),
    ({"x": Notification.objects.none()}, "data.x is a NotificationQuerySet.*list"),
    ({"x": Notification.objects}, "data.x is a .*list"),
    (nested(17), "nested more than 16"),
    ({"x": LOOP}, "nested more than 16|more values"),
    ({"x": "y" * 4_096}, "4,104 bytes as JSON"),
    ({"x": "語" * 1_400}, "bytes as JSON"),
    ({"x": [0] * 5_000}, "more values"),
    ({"x": '"' * 2_100}, "bytes as JSON"),
]


@pytest.mark.parametrize(("data", "answer"), BAD)
def test_bad_data_are_refused_with_the_place_and_nothing_is_stored(data, answer, ada):
    for call in (notify, lambda user, *args, **options: notify_many([user], *args, **options)):
        with pytest.raises(InvalidNotification, match=answer):
            call(ada, "announcement", "Hello", data=data)
    assert not Notification.everything.exists()


@pytest.mark.parametrize(
    "data", [{}, nested(16), {"x": 2**53 - 1}, {"x": (1, 2)}, {"": None}, {"x": "y" * 4_088}]
)
def test_good_data_are_stored(data, ada):
    notify(ada, "announcement", "Hello", data=data)
    assert Notification.objects.get().data == {
        key: list(v) if isinstance(v, tuple) else v for key, v in data.items()
    }
