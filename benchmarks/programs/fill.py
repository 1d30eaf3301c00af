"""Fills the table up to a number of notifications: `fill ROWS`, of people who are not connected."""

import sys

import django
from django.db import connection

# Numbered and counted, a hundred of each of these users' in a revision, as the relay leaves them.
FILL = """
INSERT INTO messaging_notification
    (user_id, notification_type, title, description, level, is_read, dedupe_key, revision, pending_since, counted)
SELECT u.id, 'announcement', 'Notification ' || n, repeat('something has happened ', 4), 'info', true, 'fill:' || n,
    i.revision + 1 + (n / %(users)s) / 100, NULL, false
FROM generate_series(%(first)s::bigint, %(last)s) AS n
JOIN auth_user u ON u.username = 'filled' || n %% %(users)s JOIN messaging_inbox i ON i.user_id = u.id
"""
COUNT = """
UPDATE messaging_inbox i SET revision = d.revision
FROM (SELECT user_id, max(revision) AS revision FROM messaging_notification GROUP BY user_id) AS d
WHERE i.user_id = d.user_id AND i.user_id IN (SELECT id FROM auth_user WHERE username LIKE 'filled%')
"""
MOST_USERS = 5_000


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User

    from messaging.models import Inbox, UserProfile

    rows = int(sys.argv[1])
    users, present = min(MOST_USERS, rows), User.objects.filter(username__startswith="filled").count()
    if users > present:
        made = User.objects.bulk_create(
            [User(username=f"filled{number}") for number in range(present, users)]
        )
        UserProfile.objects.bulk_create([UserProfile(user=user) for user in made], ignore_conflicts=True)
        Inbox.objects.bulk_create([Inbox(user=user) for user in made], ignore_conflicts=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messaging_notification")
        [filled] = cursor.fetchone()
        cursor.execute(FILL, {"users": users, "first": filled + 1, "last": rows})
        cursor.execute(COUNT)
        cursor.execute("VACUUM ANALYZE messaging_notification")
        cursor.execute("VACUUM ANALYZE messaging_inbox")
        cursor.execute("CHECKPOINT")
