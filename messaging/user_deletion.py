"""Deleting users while others write to them: `User.delete()` neither fails nor leaves rows behind.

Django first reads what belongs to the user and then deletes that, so a row that arrives in between would break a
foreign key at commit. Once the user's own row is locked nothing more can arrive: every insert waits for that lock.
What has arrived until then is deleted here, in the same transaction.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connections, models, transaction
from django.db.models import CASCADE, SET_NULL, Q, Value
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete

from messaging.orm.querysets import lock_rows

from . import contacts, profiles, user_signals, users
from .events import shown_user_deleted
from .models import Message, Notification, UserProfile

# The apps whose rows are deleted here. A project's own rows that refer to users are its own matter.
OUR_APPS = ("messaging", "realtime")


def lock_what_others_change(sender: Any, *, instance: Any, using: str, **kwargs: Any) -> None:
    """Lock the user's rows in every writer's order: messages, notifications, profile, and the user at last."""
    if not connections[using].features.has_select_for_update:
        return
    messages = Message.objects.using(using).filter(Q(sender=instance.pk) | Q(receiver=instance.pk))
    lock_rows(messages)
    rows = Notification.everything.using(using)
    affected = (
        rows.filter(user=instance.pk).order_by().values("pk"),
        rows.filter(actor=instance.pk).order_by().values("pk"),
        rows.filter(message__in=messages.order_by().values("pk")).order_by().values("pk"),
    )
    lock_rows(rows.filter(pk__in=affected[0].union(*affected[1:])))
    lock_rows(UserProfile.objects.using(using).filter(user=instance.pk))
    # Before anything is deleted: an insert that waits for a deleted row with its dedupe_key holds this lock.
    lock_rows(users.everybody(using).filter(pk=instance.pk))


def note_who_sees(sender: Any, *, instance: Any, using: str, **kwargs: Any) -> None:
    """Announce after commit, when no row shows it any more, that a user who is shown online is gone."""
    seen = profiles.presence([instance.pk], online_only=True).get(instance.pk)
    if seen is None:
        return
    versions = {
        viewer: seen.version + shift + 1
        for shift, viewers in contacts.viewers_of([instance.pk])[instance.pk].items()
        for viewer in viewers
    }

    def announce() -> None:
        shown_user_deleted.send_robust(sender=None, user=seen.user, versions=versions)

    transaction.on_commit(announce, using=using, robust=True)


def delete_late_rows(sender: Any, *, instance: Any, using: str, **kwargs: Any) -> None:
    """Delete what was committed after Django had looked."""
    late = [rows for _, rows in _referring(instance.pk, using)]
    found = [rows.order_by().values_list(Value(place)) for place, rows in enumerate(late)]
    # One query, which nearly always finds nothing.
    if not found[0].union(*found[1:]).exists():
        return
    for relation, rows in _referring(instance.pk, using):
        if relation.on_delete is CASCADE:
            rows.delete()
        elif relation.on_delete is SET_NULL:
            rows.update(**{relation.field.name: None})


def _referring(user_id: Any, using: str) -> Iterator[tuple[Any, models.QuerySet[Any]]]:
    relations: Any = get_candidate_relations_to_delete(users.model()._meta)
    for relation in relations:
        if relation.related_model._meta.app_label in OUR_APPS:
            rows = relation.related_model._base_manager.using(using)
            yield relation, rows.filter(**{relation.field.name: user_id})


def connect() -> None:
    """Connect the receivers, once."""
    user_signals.connect_deletion(pre_delete, lock_what_others_change, "messaging.user_deletion.lock")
    user_signals.connect_deletion(pre_delete, note_who_sees, "messaging.user_deletion.seen")
    user_signals.connect_deletion(post_delete, delete_late_rows, "messaging.user_deletion.late")
