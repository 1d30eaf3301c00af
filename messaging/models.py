"""The tables of the domain: columns, constraints and indexes. What writes them is elsewhere."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, router, transaction
from django.db.models.functions import Now
from django.utils import timezone, translation
from django.utils.functional import Promise

from messaging import languages
from messaging.broadcast_models import BroadcastJob
from messaging.events import announce_pending
from messaging.login_models import ApiToken, LoginFailure, UserSession
from messaging.orm.atomic_save import AtomicSaveModel
from messaging.orm.fields import BoundedTextField, DataField, LevelField, SafeUrlField, plain
from messaging.orm.querysets import (
    NUMBERING,
    AllNotifications,
    LivingNotifications,
    MessageQuerySet,
    lock_rows,
)
from messaging.orm.user_keys import OneToOneUserKey, UserKey
from messaging.presence_models import Block, Contact, UserProfile

__all__ = [
    "ApiToken",
    "Block",
    "BroadcastJob",
    "Contact",
    "Inbox",
    "LoginFailure",
    "Message",
    "Notification",
    "UserProfile",
    "UserSession",
    "new_epoch",
]


def new_epoch() -> str:
    return secrets.token_urlsafe(9)


class Message(AtomicSaveModel):
    sender = UserKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, default_name="sent_messages")
    receiver = UserKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, default_name="received_messages")
    content = models.TextField(max_length=1000)
    timestamp = models.DateTimeField(default=timezone.now)
    is_read = models.BooleanField("read", default=False)
    # The receiver had blocked the sender: only the sender sees it, and it is never read.
    is_withheld = models.BooleanField("withheld", default=False, db_default=False, editable=False)

    objects = MessageQuerySet.as_manager()

    # Set by the receivers: whether the save in progress is the one that marks it read, whether the two were contacts
    # before it, and the language of the receiver's profile.
    _became_read = False
    _are_contacts = False
    _receiver_language: str | None = None

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sender", "receiver", "-id"], name="messaging_conversation"),
        ]

    def __str__(self) -> str:
        content = str(self.content)[:50]
        names = {"sender": self.sender, "receiver": self.receiver, "content": content}
        return translation.gettext("%(sender)s to %(receiver)s: %(content)s") % names

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete a message, locked first: see MessageQuerySet.delete."""
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using):
            lock_rows(type(self)._base_manager.using(using).filter(pk=self.pk))
            return super().delete(*args, **kwargs)


# A row that isn't pending has a revision, and is counted if it is unread. A partial index holds those that contradict
# themselves: none, unless they were written past everything that marks a row pending.
CONTRADICTORY = models.Q(pending_since=None) & (
    models.Q(revision=None)
    | models.Q(counted=True, is_read=True)
    | models.Q(counted=True, removed_at__isnull=False)
    | models.Q(counted=False, is_read=False, removed_at=None)
)


class Notification(AtomicSaveModel):
    # Indexes of their own would be written with every row: others begin with the user, and most rows have neither
    # message nor actor.
    user = UserKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, default_name="notifications", db_index=False
    )
    message = models.ForeignKey(
        Message,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="notifications",
        db_index=False,
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    notification_type = BoundedTextField(max_length=50)
    title = BoundedTextField(max_length=200)
    description = BoundedTextField(max_length=500, blank=True)
    level = LevelField(max_length=10, default="info")
    url = SafeUrlField(max_length=500, null=True, blank=True)  # null on the wire too
    is_read = models.BooleanField("read", default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    dedupe_key = BoundedTextField(max_length=200, null=True, blank=True, editable=False)
    data = DataField(null=True, blank=True)  # a JSON object, null on the wire too
    # Of title and description; empty where they were given as they are.
    language = BoundedTextField(max_length=16, blank=True, default="", db_default="", editable=False)

    # Of a type with groups: which one it belongs to; how many the row stands for; the row that stands for this one,
    # which is a tombstone then. (Without a constraint: pruning deletes either first.)
    group_key = BoundedTextField(max_length=200, null=True, blank=True, editable=False)
    group_count = models.IntegerField(default=1, db_default=1, editable=False)
    collapsed_into_id = models.BigIntegerField(null=True, editable=False)
    # Of a row with its group's title: the one that it had before.
    own_title = BoundedTextField(max_length=200, null=True, editable=False)

    # Bookkeeping: a writer marks a row pending, `assign_revisions` numbers and counts it.
    revision = models.BigIntegerField(null=True, editable=False)
    pending_since = models.DateTimeField(null=True, db_default=Now(), editable=False)
    counted = models.BooleanField(db_default=False, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    BOOKKEEPING = NUMBERING | {"created_at", "removed_at"}

    objects = LivingNotifications()
    # Tombstones included.
    everything = AllNotifications()

    # The owner when this instance was read: another one's row is another (messaging/dialects/triggers.py).
    _read_owner: Any = None

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        default_manager_name = "objects"
        permissions = (("send_notification", "Can send a notification to chosen people"),)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "dedupe_key"], name="messaging_dedupe_key"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "revision"], name="messaging_revision"),
            models.Index(
                fields=["message"],
                condition=models.Q(message__isnull=False),
                name="messaging_by_message",
            ),
            models.Index(
                fields=["actor"],
                condition=models.Q(actor__isnull=False),
                name="messaging_by_actor",
            ),
            models.Index(
                fields=["user", "-id"],
                condition=models.Q(removed_at=None),
                name="messaging_living",
            ),
            models.Index(
                fields=["user", "-id"],
                condition=models.Q(removed_at=None, is_read=False),
                name="messaging_unread",
            ),
            models.Index(
                fields=["user", "id"],
                condition=models.Q(pending_since__isnull=False),
                name="messaging_pending",
            ),
            models.Index(
                fields=["pending_since"],
                condition=models.Q(pending_since__isnull=False),
                name="messaging_pending_since",
            ),
            models.Index(fields=["user", "id"], condition=CONTRADICTORY, name="messaging_contradictory"),
            # For pruning. The id orders rows of the same moment.
            models.Index(
                fields=["notification_type", "created_at", "id"],
                condition=models.Q(removed_at=None),
                name="messaging_age",
            ),
            models.Index(
                fields=["removed_at", "id"],
                condition=models.Q(removed_at__isnull=False),
                name="messaging_tombstone",
            ),
            # What a new row of a group joins, and the members that a row stands for.
            models.Index(
                fields=["user", "group_key"],
                condition=models.Q(group_key__isnull=False, removed_at=None, is_read=False),
                name="messaging_group",
            ),
            models.Index(
                fields=["collapsed_into_id", "id"],
                condition=models.Q(collapsed_into_id__isnull=False),
                name="messaging_members",
            ),
        ]

    def __str__(self) -> str:
        return translation.gettext("%(title)s (for %(user)s)") % {"title": self.title, "user": self.user}

    def save(self, **kwargs: Any) -> None:
        """Save, mark pending, and announce the owner after commit."""
        super().save(**kwargs)
        if not isinstance(self.pending_since, datetime):
            # Set by the database: deferred until it is read.
            del self.pending_since
        owners = {self.user_id, self._read_owner or self.user_id}
        # Of an owner that is an expression, the sweep sends the event.
        announce_pending(
            {owner for owner in owners if not hasattr(owner, "resolve_expression")}, using=self._state.db
        )

    def prepare(self, options: dict[str, Any]) -> None:
        """Mark pending. A new row, even a copy of another one, is unnumbered as well."""
        super().prepare(options)
        self._translate()
        self.pending_since = Now()
        if self._state.adding:
            self.revision, self.counted, self.collapsed_into_id = None, False, None
        elif options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "pending_since"}

    def _translate(self) -> None:
        """Make lazy texts texts in the owner's language: the present one is the writer's."""
        texts = {name: self.__dict__.get(name) for name in ("title", "description")}
        if any(isinstance(text, Promise) for text in texts.values()):
            with translation.override(languages.of([self.user_id])[self.user_id]):
                for name, text in texts.items():
                    setattr(self, name, plain(text))

    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, values: Any, *rest: Any) -> Any:
        # Every UPDATE of an instance: also one that names all columns, or of an instance made with a stored row's key.
        columns = [value for value in values if value[0].name not in NUMBERING]
        return super()._do_update(base_qs, using, pk_val, columns, *rest)

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any
    ) -> Self:
        notification = super().from_db(db, field_names, values, **options)
        notification._read_owner = notification.__dict__.get("user_id")
        return notification

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Remove: see NotificationQuerySet.delete."""
        return type(self).everything.filter(pk=self.pk).delete()


class Inbox(models.Model):
    """The state of a user's notifications: `revision` numbers its changes without gaps, from 1.

    `floor` is the highest revision whose tombstones may have been deleted; `epoch` changes when revisions restart.
    """

    user = OneToOneUserKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, default_name="inbox"
    )
    epoch = models.CharField(max_length=16, default=new_epoch)
    revision = models.BigIntegerField(db_default=0)
    unread_count = models.IntegerField(db_default=0)
    floor = models.BigIntegerField(db_default=0)

    class Meta:
        verbose_name_plural = "inboxes"

    def __str__(self) -> str:
        return translation.gettext("Inbox of %(user)s") % {"user": self.user}
