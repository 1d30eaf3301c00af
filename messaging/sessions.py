"""Every login of a user at once: what "sign out everywhere" ends."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import ImproperlyConfigured
from django.db.models.functions import Now

from . import tokens
from .models import ApiToken

SESSIONS_PER_READ = 2_000


def end_all(user: Any) -> int:
    """End every session of a user, and revoke the API tokens that act in their name. Returns how many ended.

    A session doesn't say whose it is before it is decoded, so all that haven't expired are read. Sockets hear of it as
    of any end of a login. Raises ImproperlyConfigured if sessions are kept where they can't be listed.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):
        raise ImproperlyConfigured("Sessions must be kept in the database to be ended everywhere.")
    rows = store.get_model_class().objects.filter(expire_date__gt=Now()).order_by()
    own = [
        row.session_key
        for row in rows.iterator(chunk_size=SESSIONS_PER_READ)
        if str(row.get_decoded().get(SESSION_KEY)) == str(user.pk)
    ]
    for key in own:
        # The store's own way, so that one with a cache in front forgets it there too.
        store(session_key=key).delete()
    valid = list(ApiToken.objects.filter(user=user, revoked_at=None))
    for token in valid:
        tokens.revoke(token)
    return len(own) + len(valid)
