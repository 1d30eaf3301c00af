"""How Django stores sessions: reading them by key, and ending every login of a user at once, whatever the engine.

A session doesn't say whose it is before it is decoded, and only the database can list them. So `UserSession` remembers
whose session each sign-in began.
"""

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import signed_cookies
from django.db.models.functions import Now

from . import tokens
from .events import announce_ended_logins
from .exceptions import SessionsInCookies
from .models import ApiToken, UserSession

SESSIONS_PER_READ = 2_000
# Of one user: beyond it a sign-in ends the oldest.
MAX_SESSIONS = 1_000


def read_sessions(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the contents of those of these sessions that exist and haven't expired, by key.

    One query for any number of sessions kept in the database; other stores are asked key by key.
    """
    store = _session_store()
    if hasattr(store, "get_model_class"):
        rows = store.get_model_class().objects.filter(session_key__in=keys, expire_date__gt=Now())
        return {row.session_key: row.get_decoded() for row in rows}
    found = {}
    for key in keys:
        session = store(session_key=key)
        if session.exists(key):
            found[key] = session.load()
    return found


def note_login(sender: Any, *, request: Any, user: Any, **kwargs: Any) -> None:
    """Receive `user_logged_in`: remember whose session this is, and forget those of the user's that are over."""
    session = getattr(request, "session", None)
    if session is None or in_cookies():
        return
    if session.session_key is None:
        # Another user was signed in: the new session has no key before it is stored.
        session.save()
    own = UserSession.objects.filter(user_id=user.pk)
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
    oldest = own.order_by("-pk")[MAX_SESSIONS:]
    if keys := list(oldest.values_list("session_key", flat=True)):
        _end(keys)
        announce_ended_logins(user.pk)


def note_logout(sender: Any, *, request: Any, user: Any, **kwargs: Any) -> None:
    """Receive `user_logged_out`, after which Django flushes the session."""
    session = getattr(request, "session", None)
    if session is None or session.session_key is None or user is None or in_cookies():
        return
    UserSession.objects.filter(session_key=session.session_key).delete()
    if not hasattr(session, "get_model_class"):
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


def in_cookies() -> bool:
    """Whether sessions are kept by the browsers, where nothing can end them."""
    return issubclass(_session_store(), signed_cookies.SessionStore)


def _decoded_keys_of(user: Any) -> Iterator[str]:
    """Yield the keys of the user's sessions in the database; it takes reading all that haven't expired."""
    store = _session_store()
    if hasattr(store, "get_model_class"):
        rows = store.get_model_class().objects.filter(expire_date__gt=Now()).order_by()
        for row in rows.iterator(chunk_size=SESSIONS_PER_READ):
            if str(row.get_decoded().get(SESSION_KEY)) == str(user.pk):
                yield row.session_key


def _end(keys: Collection[str]) -> None:
    store = _session_store()
    for key in keys:
        # By the store, so that one with a cache in front removes it from the cache too.
        store(session_key=key).delete()
    UserSession.objects.filter(session_key__in=keys).delete()


def _session_store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore
