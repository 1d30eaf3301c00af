"""Logins that the project's own authentication has found, for the sockets they open.

A JWT or a token of the project's can't be checked again later. So each ticket begins a login with a key of its own,
valid until its user is deactivated or deleted, gets another password or signs out everywhere, and for a limited time.
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from . import users
from .models import UserSession

# Session keys have no colon.
PREFIX = "hook:"


def begin(user: Any, *, seconds: float) -> str:
    """Begin a login that is valid for so long. Returns its key. Those of the user's that are over are deleted."""
    UserSession.objects.filter(user=user, session_key__startswith=PREFIX, expires_at__lt=Now()).delete()
    key = f"{PREFIX}{secrets.token_urlsafe(24)}:{_digest(_hashes(user)[0])}"
    UserSession.objects.create(user=user, session_key=key, expires_at=Now() + timedelta(seconds=seconds))
    return key


def valid(keys: Collection[str]) -> dict[str, Any]:
    """Return the users of those of these logins that are still valid, by key."""
    rows = UserSession.objects.filter(session_key__in=keys, expires_at__gt=Now())
    ids = dict(rows.values_list("session_key", "user_id"))
    found = users.people().in_bulk(set(ids.values()))
    return {
        key: found[user_id]
        for key, user_id in ids.items()
        if user_id in found and users.is_active(found[user_id]) and _password_is_that_of(key, found[user_id])
    }


def _password_is_that_of(key: str, user: Any) -> bool:
    return key.rpartition(":")[2] in [_digest(known) for known in _hashes(user)]


def _hashes(user: Any) -> list[str]:
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def _digest(session_hash: str) -> str:
    return hashlib.sha256(session_hash.encode()).hexdigest()[:32]
