"""How Django stores sessions: reading them by key, and ending every login of a user at once, whatever the engine.

A session doesn't say whose it is before it is decoded, and only the database can list them. So `UserSession` remembers
whose session each sign-in began.
"""

import secrets
from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import signed_cookies
from django.core.cache.backends.base import InvalidCacheKey
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.db.models.functions import Now

from . import hook_logins, tokens
from .events import announce_ended_logins
from .exceptions import SessionsInCookies
from .models import ApiToken, UserSession

SESSIONS_PER_READ = 2_000
# Of one user: beyond it a sign-in ends the oldest.
MAX_SESSIONS = 1_000
# Where a session that is kept in a cookie holds its name in `UserSession`: its key changes whenever it is saved.
COOKIE_ID = "_doorbell_session"


def read_sessions(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the contents of those of these sessions that exist and haven't expired, by key.

    One query for any number of sessions kept in the database; other stores are asked key by key.
    """
    if (sessions := model()) is not None:
        rows = sessions.objects.filter(session_key__in=keys, expire_date__gt=Now())
        return {row.session_key: row.get_decoded() for row in rows}
    if in_cookies():
        return _read_cookies(keys)
    found = {}
    for key in keys:
        session = _session_store()(session_key=key)
        try:
            if session.exists(key):
                found[key] = session.load()
        except (SuspiciousOperation, InvalidCacheKey):
            # A cookie may hold anything: this is no key of a file's, or of Memcached's.
            continue
    return found


def _read_cookies(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Read sessions whose key is their signed content. Nothing but `UserSession` knows which were signed out of."""
    found = {key: _session_store()(session_key=key).load() for key in keys}
    ids = [data[COOKIE_ID] for data in found.values() if COOKIE_ID in data]
    known = set(UserSession.objects.filter(session_key__in=ids).values_list("session_key", flat=True))
    return {key: data for key, data in found.items() if data and data.get(COOKIE_ID) in known}


def note_login(sender: Any, *, request: Any, user: Any, **kwargs: Any) -> None:
    """Receive `user_logged_in`: remember whose session this is, and forget those of the user's that are over."""
    session = getattr(request, "session", None)
    if session is None:
        return
    if in_cookies():
        session[COOKIE_ID] = f"cookie:{secrets.token_urlsafe(24)}"
        UserSession.objects.create(
            session_key=session[COOKIE_ID], user_id=user.pk, expires_at=session.get_expiry_date()
        )
        _end_oldest(user)
        return
    if session.session_key is None:
        # Another user was signed in: the new session has no key before it is stored.
        session.save()
    own = _sessions_of(user)
    for row in own.filter(expires_at__lt=Now()):
        # A session may have been prolonged since.
        if _session_store()(session_key=row.session_key).exists(row.session_key):
            UserSession.objects.filter(pk=row.pk).update(expires_at=session.get_expiry_date())
        else:
            row.delete()
    UserSession.objects.update_or_create(
        session_key=session.session_key,
        defaults={"user_id": user.pk, "expires_at": session.get_expiry_date()},
    )
    _end_oldest(user)


def _sessions_of(user: Any) -> QuerySet[UserSession]:
    return UserSession.objects.filter(user_id=user.pk).exclude(session_key__startswith=hook_logins.PREFIX)


def _end_oldest(user: Any) -> None:
    oldest = _sessions_of(user).order_by("-pk")[MAX_SESSIONS:]
    if keys := list(oldest.values_list("session_key", flat=True)):
        _end(keys)
        announce_ended_logins(user.pk)


def note_logout(sender: Any, *, request: Any, user: Any, **kwargs: Any) -> None:
    """Receive `user_logged_out`, after which Django flushes the session."""
    session = getattr(request, "session", None)
    if session is None or user is None:
        return
    if in_cookies():
        UserSession.objects.filter(session_key=session.get(COOKIE_ID)).delete()
        announce_ended_logins(user.pk)
        return
    if session.session_key is None:
        return
    UserSession.objects.filter(session_key=session.session_key).delete()
    if model() is None:
        # No row is deleted whose signal would be heard, so the session ends here, before its sockets are revalidated.
        session.delete(session.session_key)
        announce_ended_logins(user.pk)


def end_all(user: Any) -> int:
    """End every session of a user, and revoke the API tokens that act in their name. Returns how many ended.

    Sockets are closed as at any end of a login. Sessions that began without Django's `login()` are found if they are in
    the database and can be decoded; a session that `login()` began, also if it was signed with a key that this process
    doesn't have. Raises SessionsInCookies.
    """
    if in_cookies():
        raise SessionsInCookies
    known = UserSession.objects.filter(user_id=user.pk).values_list("session_key", flat=True)
    keys = {*known, *_decoded_keys_of(user)}
    _end(keys)
    valid = list(ApiToken.objects.filter(user=user, revoked_at=None))
    for token in valid:
        tokens.revoke(token)
    announce_ended_logins(user.pk)
    return len(keys) + len(valid)


def model() -> Any:
    """Return the model of the sessions, Django's or the project's own; None if they aren't kept in the database."""
    store = _session_store()
    return store.get_model_class() if hasattr(store, "get_model_class") else None


def in_cookies() -> bool:
    """Whether sessions are kept by the browsers, where nothing can end them: sign-out ends their sockets alone."""
    return issubclass(_session_store(), signed_cookies.SessionStore)


def _decoded_keys_of(user: Any) -> Iterator[str]:
    """Yield the keys of the user's sessions in the database; it takes reading all that haven't expired."""
    if (sessions := model()) is not None:
        rows = sessions.objects.filter(expire_date__gt=Now()).order_by()
        for row in rows.iterator(chunk_size=SESSIONS_PER_READ):
            if str(row.get_decoded().get(SESSION_KEY)) == str(user.pk):
                yield row.session_key


def _end(keys: Collection[str]) -> None:
    store = _session_store()
    for key in () if in_cookies() else keys:
        if key.startswith(hook_logins.PREFIX):
            continue
        # By the store, so that one with a cache in front removes it from the cache too.
        store(session_key=key).delete()
    UserSession.objects.filter(session_key__in=keys).delete()


def _session_store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore
