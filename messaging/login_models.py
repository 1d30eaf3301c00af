"""The tables of logins: failures, sessions and tokens. Imported from models.py, like every other table."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from messaging.orm.user_keys import UserKey


class LoginFailure(models.Model):
    """A sign-in over HTTP that failed. messaging/login_throttle.py counts them and deletes the old ones."""

    username = models.CharField(max_length=150)
    address = models.CharField(max_length=45)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["address", "at"], name="messaging_failure_address"),
            models.Index(fields=["at"], name="messaging_failure_at"),
        ]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"


class UserSession(models.Model):
    """Whose session Django's `login()` has begun, so that all of a user's can be ended. messaging/sessions.py."""

    # Without a constraint: a sign-in must neither fail nor hold up the deletion of its user.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    session_key = models.CharField(max_length=255, unique=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        # Not the key, which is a credential.
        return f"session {self.pk} of user {self.user_id}"


class ApiToken(models.Model):
    """A program's credential: with the right to publish to any user, or acting for one. Only its hash is stored."""

    name = models.CharField(max_length=100)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    user = UserKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, default_name="api_tokens"
    )
    can_publish = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name
