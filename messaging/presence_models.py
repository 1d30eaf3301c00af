"""The tables of who sees whom: contacts, blocks and profiles. Imported from models.py, like every other table."""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging.orm.atomic_save import AtomicSaveModel
from messaging.orm.code_points import CodePoints
from messaging.orm.user_keys import OneToOneUserKey


class Contact(models.Model):
    """Two users who have exchanged a message, and so see each other's presence. One row per pair.

    The columns low_… are about what `high` sees of `low`, the columns high_… the reverse; contacts.py writes them.
    """

    low = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    high = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # When they became contacts, or what they see of each other last changed for another reason than a profile's.
    changed_at = models.DateTimeField(db_default=Now(), db_column="met_at", editable=False)

    # What is added to the version of the profile.
    low_shift = models.BigIntegerField(db_default=0, editable=False)
    high_shift = models.BigIntegerField(db_default=0, editable=False)
    # The version that is shown while the pair is frozen, because one has blocked the other: else None. Of a frozen pair
    # None means that this one isn't shown to the other at all.
    low_version = models.BigIntegerField(null=True, editable=False)
    high_version = models.BigIntegerField(null=True, editable=False)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["changed_at"], name="messaging_contact_met")
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["low", "high"], name="messaging_contact_once"),
            models.CheckConstraint(
                condition=models.Q(low__lt=CodePoints("high")), name="messaging_contact_ordered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.low} and {self.high}"

    @property
    def is_frozen(self) -> bool:
        return self.low_version is not None or self.high_version is not None


class Block(models.Model):
    """One user has blocked another: nothing of the other reaches them, and the other can't notice it. See blocks.py."""

    blocker = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    blocked = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["blocker", "blocked"], name="messaging_block_once"),
            models.CheckConstraint(
                condition=~models.Q(blocker=models.F("blocked")), name="messaging_block_of_another"
            ),
        ]

    def __str__(self) -> str:
        names = {"blocked": self.blocked, "blocker": self.blocker}
        return _("%(blocked)s, blocked by %(blocker)s") % names


class UserProfile(AtomicSaveModel):
    """A user's presence as contacts see it. `version` rises with each change."""

    user = OneToOneUserKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, default_name="profile")
    is_online = models.BooleanField("online", default=False)
    # Contacts then see the user as offline and never seen, and are not notified of status changes.
    is_hidden = models.BooleanField("hidden", default=False, db_default=False)
    last_seen = models.DateTimeField(null=True, blank=True)
    # Of notifications' texts; empty: the project's.
    language = models.CharField(max_length=16, blank=True, default="", db_default="")
    timezone = models.CharField("time zone", max_length=64, blank=True, default="", db_default="")
    version = models.BigIntegerField(default=0, editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)
    # Goes offline then: the grace period, so that a page reload changes no status.
    offline_after = models.DateTimeField(null=True, editable=False)

    # `is_hidden` is stored by the receiver `note_status`, if it was changed here.
    BOOKKEEPING = frozenset({"version", "changed_at", "offline_after", "last_seen", "is_hidden"})

    # The value when this instance was read, so that saving a stale instance doesn't unhide a user who has hidden since.
    _was_hidden = False

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["changed_at"], name="messaging_profile_changed"),
            models.Index(
                fields=["offline_after"],
                condition=models.Q(offline_after__isnull=False),
                name="messaging_profile_leaving",
            ),
        ]

    def __str__(self) -> str:
        text = _("%(user)s (online)") if self.is_online else _("%(user)s (offline)")
        return text % {"user": self.user}

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any
    ) -> Self:
        profile = super().from_db(db, field_names, values, **options)
        profile._was_hidden = bool(profile.__dict__.get("is_hidden", False))
        return profile

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        fields = None if fields is None else list(fields)
        super().refresh_from_db(using, fields, from_queryset)
        if fields is None or "is_hidden" in fields:
            self._was_hidden = self.is_hidden
