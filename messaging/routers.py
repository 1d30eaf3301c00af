"""For a project with replicas or several databases: where Doorbell's models, the users and the sessions are."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS

from . import users

APPS = {"messaging", "realtime", "sessions"}


class DefaultDatabase:
    """A database router, to be the first of DATABASE_ROUTERS: reads from `default`, which is never behind.

    A ticket is used up a moment after it was issued, and the answer to a change includes it.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        mine = model._meta.app_label in APPS or users.shares_row(model)
        return DEFAULT_DB_ALIAS if mine else None

    db_for_write = db_for_read
