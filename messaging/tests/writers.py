"""Writers of notifications that nobody foresaw: the ORM in all its forms, and SQL. test_counts_model.py runs them."""

import contextlib
import copy
import random

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Subquery

from messaging import notifications
from messaging.models import Message, Notification
from messaging.tests.grouped import comment
from messaging.tests.rows import raw_insert, sql

TABLE = "messaging_notification"
WRITTEN = "notification_type, title, description, level, is_read, revision, counted, pending_since"
EVERY_COLUMN = [field.name for field in Notification._meta.concrete_fields if not field.primary_key]
NEW = {"notification_type": "announcement", "title": "x"}


class Writers:
    """Each method is a writer: it changes rows of one user, or gives them to the other one.

    `read`: instances by id that were read some time ago, and may be older than their rows.
    """

    def __init__(self, user, other, seed, read):
        self.user, self.other, self.random = user, other, random.Random(seed)
        everything = list(Notification.everything.filter(user=user).order_by("id"))
        chosen = self.random.sample(everything, min(2, len(everything)))
        self.rows = [copy.copy(read.get(row.pk, row)) for row in chosen]
        self.ids = [row.pk for row in self.rows]
        self.living = Notification.objects.filter(pk__in=self.ids)
        self.key = self.random.choice([None, "a", "b"])

    def each(self, change):
        """Execute a statement for each of the chosen rows."""
        for pk in self.ids:
            sql(f"{change} WHERE id = {pk}")

    # --- Right at once ----------------------------------------------------------------------------------

    def notify(self):
        notifications.notify(self.user, "announcement", "x", dedupe_key=self.key)

    def notify_many(self):
        notifications.notify_many([self.user, self.other, self.user], "announcement", "x")

    def notify_of_a_group(self):
        for _ in range(self.random.choice([1, 1, 3])):
            comment(self.user, page=self.random.choice("ab"), dedupe_key=self.key)
        comment(self.other, page="a")

    def notify_ephemeral(self):
        notifications.notify(self.user, "user_online", "x")

    def notify_without_counting(self):
        notifications.notify(self.user, "message_read", "x")
        notifications.notify_many([self.user, self.other], "message_read", "x")

    def mark_read(self):
        notifications.mark_read(self.user, self.ids)

    def mark_all_read(self):
        notifications.mark_read(self.user)

    def mark_unread(self):
        notifications.mark_unread(self.user, self.ids)

    def remove(self):
        notifications.remove(self.user, self.ids)

    def create(self):
        Notification.objects.create(user=self.user, is_read=self.random.random() < 0.3, **NEW)

    def get_or_create(self):
        Notification.objects.get_or_create(user=self.user, dedupe_key=self.key or "c", defaults=NEW)

    def update_or_create(self):
        for row in self.living:
            Notification.objects.update_or_create(pk=row.pk, defaults={"user": self.other, "is_read": True})

    def bulk_create(self):
        Notification.objects.bulk_create(
            [Notification(user=self.user, **NEW), Notification(user=self.other, **NEW)]
        )

    def bulk_create_ignoring_conflicts(self):
        rows = [Notification(user=self.user, dedupe_key=key, **NEW) for key in "abc"]
        Notification.objects.bulk_create(rows, ignore_conflicts=True)

    def insert_in_sql(self):
        raw_insert(self.user)

    def upsert_every_column(self):
        for row in self.rows:
            row.user, row.is_read = self.other, not row.is_read
        Notification.objects.bulk_create(
            self.rows, update_conflicts=True, unique_fields=["id"], update_fields=EVERY_COLUMN
        )

    def upsert_by_dedupe_key(self):
        rows = [
            Notification(user=self.user, dedupe_key=key, is_read=self.random.random() < 0.5, **NEW)
            for key in "abc"
        ]
        Notification.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["user", "dedupe_key"],
            update_fields=sorted(set(EVERY_COLUMN) - {"user", "dedupe_key"}),
        )

    def update_every_column(self):
        Notification.objects.bulk_update(self.rows, EVERY_COLUMN)

    def save_every_column(self):
        for row in self.rows:
            row.save(update_fields=EVERY_COLUMN)

    def save_base(self):
        for row in self.rows:
            row.save_base()

    def save_under_a_stored_key(self):
        for pk in self.ids:
            Notification(pk=pk, user=self.other, **NEW).save()

    def update_the_bookkeeping(self):
        self.living.update(counted=False, revision=None, is_read=True)

    def give_by_an_expression(self):
        self.living.update(user=Subquery(User.objects.filter(pk=self.other.pk).values("pk")))

    def give_by_a_join(self):
        Notification.objects.filter(user__username=self.user.username, pk__in=self.ids).update(
            user_id=str(self.other.pk)
        )

    def give_by_saving_text(self):
        for row in self.living:
            row.user_id = str(self.other.pk)
            row.save()

    def roll_back_to_a_savepoint(self):
        with contextlib.suppress(LookupError), transaction.atomic():
            self.living.update(user=self.other)
            self.notify()
            raise LookupError
        self.notify()

    def copy_by_forgetting_the_key(self):
        for row in self.living:
            row.pk, row.dedupe_key = None, None
            row.save()

    def copy(self):
        for row in self.living:
            row.pk, row.user, row.dedupe_key, row._state.adding = None, self.other, None, True
            row.save()

    def save(self):
        for row in self.rows:
            row.is_read = not row.is_read
            row.save()

    def update(self):
        self.living.update(is_read=self.random.random() < 0.5)

    def bulk_update(self):
        for row in self.rows:
            row.is_read = not row.is_read
        Notification.objects.bulk_update(self.rows, ["is_read"])

    def update_past_the_queryset(self):
        Notification._base_manager.filter(pk__in=self.ids).update(is_read=self.random.random() < 0.5)

    def update_in_sql(self):
        self.each(f"UPDATE {TABLE} SET is_read = NOT is_read")

    def remove_in_sql(self):
        self.each(f"UPDATE {TABLE} SET removed_at = created_at")

    def restore(self):
        Notification.everything.filter(pk__in=self.ids).update(removed_at=None)

    def delete(self):
        for row in self.living:
            row.delete()

    def message(self):
        Message.objects.create(sender=self.other, receiver=self.user, content="x")

    def read_messages(self):
        for message in Message.objects.filter(receiver=self.user)[:2]:
            message.is_read = True
            message.save()

    def give_messages(self):
        Message.objects.filter(receiver=self.user).update(receiver=self.other)

    def give_by_update(self):
        self.living.update(user=self.other)

    def give_by_save(self):
        for row in self.rows:
            row.user = self.other
            row.save()

    def give_by_add(self):
        self.other.notifications.add(*self.living)

    def give_by_bulk_update(self):
        for row in self.rows:
            row.user = self.other
        Notification.objects.bulk_update(self.rows, ["user"])

    def give_by_upsert(self):
        for row in self.rows:
            row.user = self.other
        Notification.objects.bulk_create(
            self.rows, update_conflicts=True, unique_fields=["id"], update_fields=["user", "is_read"]
        )

    def give_all(self):
        self.user.notifications.update(user=self.other)

    def give_in_sql(self):
        self.each(f"UPDATE {TABLE} SET user_id = {self.other.pk}, is_read = NOT is_read")

    def swap_in_sql(self):
        sql(
            f"UPDATE {TABLE} SET user_id = {self.user.pk + self.other.pk} - user_id WHERE user_id <= {self.other.pk}"
            f" AND user_id IN ({self.user.pk}, {self.other.pk})"
        )

    def change_id_in_sql(self):
        self.each(f"UPDATE {TABLE} SET id = id + {10_000_000 + self.random.randrange(1_000_000)}")

    # --- Right after the repair --------------------------------------------------------------------------

    def past_delete(self):
        self.each(f"DELETE FROM {TABLE}")

    def past_delete_by_the_orm(self):
        Notification._base_manager.filter(pk__in=self.ids).delete()

    def past_delete_all(self):
        sql(f"DELETE FROM {TABLE}")

    def past_counted(self):
        self.each(f"UPDATE {TABLE} SET counted = NOT counted, revision = revision + 7")

    def past_unnumber(self):
        self.each(f"UPDATE {TABLE} SET revision = NULL, pending_since = NULL")

    def past_replace(self):
        columns = "id, user_id, notification_type, title, description, level, is_read"
        for pk in self.ids:
            sql(f"DELETE FROM {TABLE} WHERE id = {pk}")
            values = f"{pk}, {self.other.pk}, 'announcement', 'x', '', 'info', {pk % 2 == 0}"
            sql(f"INSERT INTO {TABLE} ({columns}) VALUES ({values})")

    def past_settle(self):
        sql(f"UPDATE {TABLE} SET is_read = NOT is_read WHERE user_id = {self.user.pk}")
        sql(f"UPDATE {TABLE} SET pending_since = NULL")

    def past_copy(self):
        self.each(f"INSERT INTO {TABLE} (user_id, {WRITTEN}) SELECT {self.other.pk}, {WRITTEN} FROM {TABLE}")

    def past_count(self):
        sql(f"UPDATE messaging_inbox SET unread_count = unread_count - 3 WHERE user_id = {self.user.pk}")

    def past_revision(self):
        sql(f"UPDATE messaging_inbox SET revision = 1, floor = 2 WHERE user_id = {self.user.pk}")

    def past_inbox_deleted(self):
        sql(f"DELETE FROM messaging_inbox WHERE user_id = {self.user.pk}")

    def past_inbox_given(self):
        sql(f"DELETE FROM messaging_inbox WHERE user_id = {self.other.pk}")
        sql(f"UPDATE messaging_inbox SET user_id = {self.other.pk} WHERE user_id = {self.user.pk}")


GROUPING = ["notify_of_a_group"]
AT_ONCE = [
    name for name in vars(Writers) if not name.startswith(("_", "past_", "each")) and name not in GROUPING
]
GIVING = [name for name in AT_ONCE if name.startswith("give_")]
PAST = [name for name in vars(Writers) if name.startswith("past_")]
