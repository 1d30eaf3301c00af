"""Making rows and reading them back: messages, notifications, and what is pending."""

from django.db import connection

from messaging.models import Message, Notification


def send(sender, receiver, content="Hello!", **fields):
    return Message.objects.create(sender=sender, receiver=receiver, content=content, **fields)


def read(message):
    message.is_read = True
    message.save()


def texts(user):
    rows = Notification.objects.filter(user=user).order_by("id")
    return list(rows.values_list("notification_type", "title", "description"))


def pending(user):
    rows = Notification.everything.filter(user=user, pending_since__isnull=False)
    return list(rows.order_by("id").values_list("id", flat=True))


def raw_insert(user, title="By hand"):
    """Insert a notification by SQL, with the columns that have no default in the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_notification (user_id, notification_type, title, description, level, is_read)"
            " VALUES (%s, 'announcement', %s, '', 'info', %s)",
            [user.pk, title, False],
        )


def sql(statement, *values):
    """Write past the ORM. Returns how many rows that changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount
