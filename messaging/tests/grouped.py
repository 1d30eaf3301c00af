"""A notification type with groups, for tests."""

from datetime import timedelta

from messaging import notification_types
from messaging.models import Notification
from messaging.notification_types import NotificationType
from messaging.notifications import build, create, notify

COMMENT = NotificationType(
    name="comment",
    label="Comment",
    group_by="page:%(page)s",
    group_within=timedelta(hours=24),
    group_title="%(count)d comments",
)


def declare(monkeypatch, *types):
    """Declare types, COMMENT by default, until the test ends."""
    declared = {one.name: one for one in types or (COMMENT,)}
    monkeypatch.setattr(notification_types, "_types", notification_types._types | declared)


def comment(user, title="Ada commented", page="home", **options):
    return notify(user, "comment", title, data={"page": page}, **options)


def comments(user, count, page="home"):
    return create(build(user, "comment", f"Comment {place}", data={"page": page}) for place in range(count))


def rows(user):
    """The living rows, newest first: title, count, and whether each is read."""
    found = Notification.objects.filter(user=user)
    return list(found.values_list("title", "group_count", "is_read"))


def check_groups():
    """Check that what has collapsed is accounted for by rows of the same group, each with the right count."""
    found = {row.pk: row for row in Notification.everything.all()}
    counts = dict.fromkeys(found, 1)
    for row in found.values():
        if row.collapsed_into_id is not None:
            into = found[row.collapsed_into_id]
            assert (row.removed_at is not None, row.counted, row.is_read) == (True, False, False)
            assert (row.user_id, row.notification_type, row.group_key) == (
                into.user_id,
                into.notification_type,
                into.group_key,
            )
            counts[into.pk] += row.group_count
    assert counts == {pk: row.group_count for pk, row in found.items()}
    for pk, row in found.items():
        passed, following = {pk}, row.collapsed_into_id
        while following is not None:
            assert following not in passed
            passed.add(following)
            following = found[following].collapsed_into_id
