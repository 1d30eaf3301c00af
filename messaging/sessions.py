"""How Django stores sessions: reading them by key, and ending every login of a user at once."""

from collections.abc import Collection
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import ImproperlyConfigured
from django.db.models.functions import Now

from . import tokens
from .models import ApiToken

SESSIONS_PER_READ = 2_000


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


def end_all(user: Any) -> int:
    """End every session of a user, and revoke the API tokens that act in their name. Returns how many ended.

    A session's user is known only after decoding, so all that haven't expired are read. Sockets are closed as at any
    end of a login. Raises ImproperlyConfigured if sessions are kept where they can't be listed.
    """
    store = _session_store()
    if not hasattr(store, "get_model_class"):
        raise ImproperlyConfigured("Sessions must be kept in the database to be ended everywhere.")
    rows = store.get_model_class().objects.filter(expire_date__gt=Now()).order_by()
    own = [
        row.session_key
        for row in rows.iterator(chunk_size=SESSIONS_PER_READ)
        if str(row.get_decoded().get(SESSION_KEY)) == str(user.pk)
    ]
    for key in own:
        # By the store, so that one with a cache in front removes it from the cache too.
        store(session_key=key).delete()
    valid = list(ApiToken.objects.filter(user=user, revoked_at=None))
    for token in valid:
        tokens.revoke(token)
    return len(own) + len(valid)


def _session_store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore
