"""API tokens: created and shown once; only their hashes are stored."""

import hashlib
import secrets
from typing import Any

from django.db import DatabaseError, IntegrityError
from django.db.models import Q
from django.utils import timezone

from messaging.orm.retry import is_dangling, is_row_gone

from . import users
from .exceptions import UnknownUser
from .models import ApiToken

PREFIX = "doorbell_"


def make(name: str, *, user: Any = None, can_publish: bool = False) -> tuple[ApiToken, str]:
    """Create a token. Returns it and its secret, which can't be read again."""
    token = ApiToken(name=name, user=user, can_publish=can_publish)
    return token, issue(token)


def issue(token: ApiToken) -> str:
    """Store a new token. Returns its secret, which can't be read again. Raises UnknownUser if its user is gone."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token.hash = _hash(secret)
    try:
        token.save(force_insert=True)
    except IntegrityError as error:
        if is_dangling(error):
            raise UnknownUser from error
        raise
    return secret


def find(secret: str) -> ApiToken | None:
    """Return the token with this secret, if it is valid and its user active."""
    rows = ApiToken.objects.select_related("user").filter(hash=_hash(secret), revoked_at=None)
    # Not `Q(user=None) | shown`: of an empty condition that leaves the first alone.
    if shown := users.shown("user"):
        rows = rows.filter(Q(user=None) | shown)
    token = rows.first()
    if token is None or (token.user is not None and not users.is_active(token.user)):
        return None
    return token


def revoke(token: ApiToken) -> None:
    """Revoke a token, which also closes the sockets opened with it."""
    token.revoked_at = timezone.now()
    try:
        token.save(update_fields=["revoked_at"])
    except DatabaseError as error:
        # One that was deleted meanwhile is worth nothing either.
        if not is_row_gone(error):
            raise


def _hash(secret: str) -> str:
    # No salt and no stretching: a secret of 256 random bits can't be guessed from its hash.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
