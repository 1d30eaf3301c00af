"""A large PostgreSQL database of notifications, made by SQL in seconds, in the state in which writers leave it."""

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from messaging.models import Inbox, Notification, UserProfile

DAYS = 365
PRESENCE_DAYS = 20
RARE = "announcement"

FILL = """
INSERT INTO messaging_notification
    (user_id, actor_id, notification_type, title, description, level, is_read, created_at, dedupe_key,
     revision, pending_since, counted, removed_at)
SELECT user_id, actor_id, kind, 'Notification ' || n, repeat('something has happened ', 4), 'info', is_read, created_at,
    'growth:' || n, (row_number() OVER (PARTITION BY user_id ORDER BY n) - 1) / 100 + 1, NULL,
    NOT is_read AND removed_at IS NULL, removed_at
FROM (
    SELECT *, n <= %(rows)s * 7 / 8 OR kind = 'user_online' AS is_read,
        CASE WHEN kind = 'user_online' AND created_at < now() - interval '1 day' THEN created_at + interval '1 day' END
            AS removed_at
    FROM (
        SELECT n, now() - make_interval(secs => (%(rows)s - n) * %(seconds)s) AS created_at,
            CASE WHEN n %% %(share)s = 0 THEN %(first)s
                ELSE %(first)s + 1 + (n * 7919) %% (%(users)s - 1) END AS user_id,
            %(first)s + (n * 104729) %% %(users)s AS actor_id,
            CASE WHEN n / %(share)s %% 997 = 0 THEN 'announcement'
                WHEN n / %(share)s %% 5 = 0 AND n > %(rows)s - %(rows)s * %(presence)s / %(days)s THEN 'user_online'
                WHEN n / %(share)s %% 2 = 0 THEN 'message_read' ELSE 'new_message' END AS kind
        FROM generate_series(1::bigint, %(rows)s) AS n
    ) AS made
) AS delivered
"""
COUNT = """
UPDATE messaging_inbox i SET revision = d.revision, unread_count = d.unread
FROM (SELECT user_id, max(revision) AS revision, count(*) FILTER (WHERE counted) AS unread
    FROM messaging_notification GROUP BY user_id) AS d
WHERE i.user_id = d.user_id
"""


def fill(rows: int, *, users: int, share: int = 10) -> int:
    """Give the last year's notifications to users: every `share`-th one to the same user, whose id is returned.

    An eighth of them is unread, one in a thousand is an announcement, and presence rows are of the last 20 days.
    """
    made = get_user_model()._default_manager.bulk_create(
        get_user_model()(username=f"growth{number:06}", date_joined=timezone.now()) for number in range(users)
    )
    UserProfile.objects.bulk_create(UserProfile(user=user) for user in made)
    Inbox.objects.bulk_create(Inbox(user=user) for user in made)
    first = int(min(user.pk for user in made))
    with connection.cursor() as cursor:
        cursor.execute(
            FILL,
            {
                "rows": rows,
                "seconds": DAYS * 86_400 / rows,
                "share": share,
                "first": first,
                "users": users,
                "presence": PRESENCE_DAYS,
                "days": DAYS,
            },
        )
        cursor.execute(COUNT)
    analyze()
    return first


def analyze() -> None:
    """Run VACUUM and ANALYZE, as autovacuum does in time."""
    with connection.cursor() as cursor:
        for model in (Notification, Inbox, get_user_model(), UserProfile):
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
