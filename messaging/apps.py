from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models.signals import post_migrate, pre_migrate

from . import extras
from .app_labels import refuse_others


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Doorbell"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *args: Any) -> None:
        """Before any model is imported, which needs the database's driver."""
        super().__init__(*args)
        refuse_others(self)
        engines = {database.get("ENGINE") for database in settings.DATABASES.values()}
        if "django.db.backends.postgresql" not in engines or find_spec("psycopg2") is not None:
            return
        if error := extras.missing("postgres", "PostgreSQL"):
            raise ImproperlyConfigured(error)

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in, user_logged_out

        from . import (  # noqa: F401  the checks register themselves
            checks,
            reverse_names,
            sessions,
            setting_checks,
            signals,
            sqlite_checks,
            user_deletion,
            verbose_names,
        )
        from .auth_backends import name_backend_that_accepted

        verbose_names.set_all()
        signals.connect()
        user_deletion.connect()
        for signal, receiver in (
            (user_logged_in, name_backend_that_accepted),
            (user_logged_in, sessions.note_login),
            (user_logged_out, sessions.note_logout),
        ):
            signal.connect(receiver, dispatch_uid=f"messaging.{receiver.__name__}")
        pre_migrate.connect(drop_triggers, sender=self)
        post_migrate.connect(create_triggers_and_functions, sender=self)


def drop_triggers(*, using: str, plan: Any = (), **kwargs: Any) -> None:
    """SQLite alters no table that a trigger names: they are created again afterwards."""
    from .dialects import triggers

    if plan and connections[using].vendor == "sqlite":
        triggers.drop(connections[using])


def create_triggers_and_functions(*, using: str, **kwargs: Any) -> None:
    from . import stored_functions
    from .dialects import triggers
    from .models import Notification
    from .orm import tables

    if not router.allow_migrate_model(using, Notification):
        return
    database = connections[using]
    if tables.has_columns(database, Notification):
        triggers.create(database)
        stored_functions.create(database)
    else:
        # After a migration back: they name columns that are missing. The next one forward creates both.
        triggers.drop(database)
