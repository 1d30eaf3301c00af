"""Receivers: they create the notifications of events. A failing receiver is logged, and never fails the save."""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_save

from messaging.orm.atomic_save import (
    ReceiverFailed,
    receivers_are_muted,
    receivers_muted,
    receivers_use_savepoints,
)
from messaging.orm.querysets import NotificationQuerySet
from messaging.orm.retry import retry_on_transient

from . import audience, contacts, notification_types, notifications, profiles, user_signals, users
from .drafts import Recipients
from .events import (
    View,
    announce_pending,
    messages_marked,
    notifications_pending,
    presence_changed,
    revisions_assigned,
    shown_online,
    status_changed,
    views_changed,
)
from .models import Contact, Inbox, Message, Notification, UserProfile
from .texts import printable

__all__ = [
    "create_message_notification",
    "create_user_profile",
    "guarded",
    "message_read_notification",
    "messages_marked",
    "messages_marked_notification",
    "notifications_pending",
    "presence_changed",
    "receivers_muted",
    "revisions_assigned",
    "status_changed",
    "user_status_notification",
    "views_changed",
    "withhold_from_blocker",
]

logger = logging.getLogger(__name__)

PREVIEW = 50
# In seconds: a contact is notified of a user's coming online, and of their going offline, at most once in it.
STATUS_WINDOW = 600
# After an outage everyone comes back at once, and each has contacts: at most this many get a notification. All get the
# presence frame.
MAX_STATUS_NOTIFICATIONS = 2_000

Receiver = Callable[..., None]


def guarded(receiver: Receiver) -> Receiver:
    """Isolate a receiver's failure: neither the save that fired it nor the transaction around it fails."""

    @functools.wraps(receiver)
    def run(sender: Any, *, raw: bool = False, **kwargs: Any) -> None:
        if raw or receivers_are_muted():
            return
        savepoint = receivers_use_savepoints()

        def attempt() -> None:
            with transaction.atomic(savepoint=savepoint):
                receiver(sender, **kwargs)

        try:
            # A deadlock must not cost a notification: rolling back to the savepoint releases the receiver's locks.
            retry_on_transient(attempt, timeouts=True, savepoint=savepoint)
        except Exception as error:
            if not savepoint:
                # AtomicSaveModel.save repeats the save with savepoints, and the failure is logged then.
                raise ReceiverFailed from error
            logger.exception(
                "receiver %s failed; the save stands, and what the receiver wrote is rolled back",
                receiver.__name__,
            )

    return run


def withhold_from_blocker(sender: Any, *, instance: Message, raw: bool = False, **kwargs: Any) -> None:
    """A message is about to be stored: withhold it from a receiver who has blocked its sender.

    Not guarded: a message that should have been withheld is not to be stored otherwise.
    """
    if instance._state.adding and not raw and not receivers_are_muted():
        # As the database returns them: a caller may have given a UUID as text.
        instance.sender_id, instance.receiver_id = users.as_keys([instance.sender_id, instance.receiver_id])
        found = contacts.relation(instance.sender_id, instance.receiver_id)
        instance._are_contacts, instance.is_withheld = found.are_contacts, found.is_blocked
        instance._receiver_language = found.language


@guarded
def create_message_notification(sender: Any, *, instance: Message, created: bool, **kwargs: Any) -> None:
    """A message was sent: notify its receiver, and make the two users contacts."""
    if not created:
        return
    if not instance._are_contacts:
        contacts.meet(instance.sender_id, instance.receiver_id)
    if instance.is_withheld:
        return
    notification = notifications.build(
        instance.receiver_id,
        notification_types.NEW_MESSAGE.name,
        description=preview_of(instance),
        actor=instance.sender,
        message=instance.pk,
        dedupe_key=f"new_message:{instance.pk}",
        recipients=Recipients([instance.receiver_id], {instance.receiver_id: instance._receiver_language}),
    )
    notifications.create([notification], held=True)


@guarded
def note_reading(
    sender: Any, *, instance: Message, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    """Note whether this save marks the message read: of concurrent saves, one conditional UPDATE decides."""
    instance._became_read = False
    if instance.is_withheld:
        instance.is_read = False
    if instance._state.adding or not instance.is_read:
        return
    if update_fields is None or "is_read" in update_fields:
        unread = Message.objects.filter(pk=instance.pk, is_read=False)
        instance._became_read = unread.update(is_read=True) == 1


@guarded
def message_read_notification(sender: Any, *, instance: Message, **kwargs: Any) -> None:
    """A message was read: notify its sender, and mark its `new_message` notification read."""
    if not instance._became_read:
        return
    instance._became_read = False
    announce_reading([instance])


def announce_reading(messages: list[Message]) -> None:
    """Send the senders receipts, and mark the messages' own notifications read."""
    if notifications_of(messages).filter(is_read=False).mark_pending(is_read=True):
        announce_pending({message.receiver_id for message in messages})
    send_receipts(messages)


@guarded
def messages_marked_notification(
    sender: Any, *, messages: list[Message], is_read: bool, **kwargs: Any
) -> None:
    """Messages were marked read or unread in bulk: do as `announce_reading`, or the reverse."""
    if is_read:
        notifications.mark_rows_read(notifications_of(messages))
        send_receipts(messages)
    else:
        notifications.mark_rows_unread(notifications_of(messages))


def notifications_of(messages: list[Message]) -> NotificationQuerySet:
    """Return the `new_message` notifications of these messages."""
    keys = [f"new_message:{message.pk}" for message in messages]
    receivers = {message.receiver_id for message in messages}
    return Notification.objects.filter(user_id__in=receivers, dedupe_key__in=keys)


def send_receipts(messages: list[Message]) -> None:
    """Notify the senders that these messages were read, once per message."""
    recipients = Recipients([message.sender_id for message in messages])
    notifications.create(
        notifications.build(
            message.sender_id,
            notification_types.MESSAGE_READ.name,
            description=preview_of(message),
            actor=message.receiver,
            message=message.pk,
            dedupe_key=f"message_read:{message.pk}",
            recipients=recipients,
        )
        for message in messages
    )


def preview_of(message: Message) -> str:
    # A lazy text, say: only the database turns it into one.
    content = str(message.content)
    return printable(content[:PREVIEW]) + ("..." if len(content) > PREVIEW else "")


@guarded
def create_user_profile(sender: Any, *, instance: Any, created: bool, **kwargs: Any) -> None:
    """A user was created: create their profile and inbox."""
    if created and isinstance(instance, users.concrete_model()):
        user_id = users.id_of(instance)
        UserProfile.objects.get_or_create(user_id=user_id)
        Inbox.objects.get_or_create(user_id=user_id)


@guarded
def note_status(
    sender: Any, *, instance: UserProfile, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    """A profile is saved by hand, in the admin or a shell: apply changes of presence as if they came from a socket."""
    if instance._state.adding:
        return
    # Hiding first: a user who hides and goes offline in one save goes offline unseen.
    if instance.is_hidden != instance._was_hidden:
        profiles.store_is_hidden(instance)
    if update_fields is None or "is_online" in update_fields:
        profiles.set_manually(instance)


@guarded
def user_status_notification(sender: Any, *, online: list[Any], offline: list[Any], **kwargs: Any) -> None:
    """Users came online or went offline: notify their online contacts, at most once in ten minutes per pair."""
    for user_ids, declared in (
        (online, notification_types.USER_ONLINE),
        (offline, notification_types.USER_OFFLINE),
    ):
        pairs = contacts.online_contacts(user_ids, limit=MAX_STATUS_NOTIFICATIONS) if user_ids else []
        _notify_of_status(pairs, declared)


@guarded
def shown_online_notification(sender: Any, *, views: list[View], **kwargs: Any) -> None:
    """Users who are online are shown to these contacts again, after a block: notify those as if they had hidden."""
    _notify_of_status(views, notification_types.USER_ONLINE)


def _notify_of_status(
    pairs: Sequence[tuple[Any, Any]], declared: notification_types.NotificationType
) -> None:
    """Notify the second of each pair of the first's status."""
    if not pairs:
        return
    denied = audience.denied((contact, user_id) for user_id, contact in pairs)
    window = int(time.time()) // STATUS_WINDOW
    actors = users.people().in_bulk({user_id for user_id, _ in pairs})
    recipients = Recipients([contact for _, contact in pairs])
    notifications.create(
        notifications.build(
            contact,
            declared.name,
            actor=actors[user_id],
            dedupe_key=f"{declared.name}:{users.slug(user_id)}:{window}",
            recipients=recipients,
        )
        for user_id, contact in sorted(pairs)
        if user_id in actors and (contact, user_id) not in denied
    )


def connect() -> None:
    """Connect every receiver, once."""
    for signal, receiver, sender in (
        (pre_save, withhold_from_blocker, Message),
        (post_save, create_message_notification, Message),
        (pre_save, note_reading, Message),
        (post_save, message_read_notification, Message),
        (messages_marked, messages_marked_notification, Message),
        (pre_save, note_status, UserProfile),
        (status_changed, user_status_notification, UserProfile),
        (shown_online, shown_online_notification, Contact),
    ):
        signal.connect(receiver, sender=sender, dispatch_uid=f"messaging.{receiver.__name__}")
    user_signals.connect_saving(post_save, create_user_profile, "messaging.create_user_profile")
