"""System checks of the domain: what it requires of the project's settings."""

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models, router

from . import notification_types, sessions, stored_functions, users
from .auth_backends import PATH
from .conf import conf
from .dialects import triggers
from .hints import listed, paste
from .models import Message, Notification


@register(Tags.database)
def isolation_level(**kwargs: Any) -> list[CheckMessage]:
    """Assigning revisions reads what was committed while it waited for a lock: only READ COMMITTED shows that."""
    errors: list[CheckMessage] = []
    for alias, options in settings.DATABASES.items():
        level = options.get("OPTIONS", {}).get("isolation_level")
        if level is not None and getattr(level, "name", str(level)) not in ("READ_COMMITTED", "2"):
            errors.append(
                Error(
                    f"The isolation level of the database {alias!r} isn't READ COMMITTED.",
                    hint=paste(
                        "With any other level notifications are lost.",
                        f'del DATABASES["{alias}"]["OPTIONS"]["isolation_level"]',
                    ),
                    id="messaging.E001",
                )
            )
    return errors


@register(Tags.database)
def missing_triggers(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A warning, since `migrate`, which creates them, runs no further than an error."""
    return [
        checks.Warning(
            "The triggers of notifications, or the functions that insert and number them, are missing in the database "
            f"{alias!r}, disabled or out of date.",
            hint="Run `manage.py migrate`. Until then an UPDATE in SQL of a notification's owner or read mark isn't "
            "delivered, the counts are wrong until they are repaired, and new notifications take longer.",
            id="messaging.W001",
        )
        for alias in databases or ()
        if router.allow_migrate_model(alias, Notification)
        and not (triggers.exist(connections[alias]) and stored_functions.exist(connections[alias]))
    ]


@register(Tags.database)
def ids_are_safe_numbers(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Ids of rows are JSON numbers, and clients read larger ones rounded. (A user's larger key is a text on the wire.)

    A warning, since `migrate` runs no further than an error.
    """
    found: list[CheckMessage] = []
    for alias in databases or ():
        for model in (Message, Notification):
            if not router.allow_migrate_model(alias, model):
                continue
            try:
                largest = model._base_manager.using(alias).aggregate(largest=models.Max("pk"))["largest"]
            except DatabaseError:  # before the first migration
                continue
            if isinstance(largest, int) and largest > users.MAX_SAFE_ID:
                found.append(
                    checks.Warning(
                        f"{model._meta.label} has the id {largest}: clients read ids above 2^53 - 1 rounded.",
                        hint="Two rows with neighbouring ids are one to a browser. Let the database's sequence give "
                        "the ids, and don't copy larger ones into the table.",
                        obj=model,
                        id="messaging.W006",
                    )
                )
    return found


@register(Tags.security, deploy=True)
def login_throttle(**kwargs: Any) -> list[CheckMessage]:
    """Every caller of `authenticate()` is throttled, not only the API: the throttle must be the first backend."""
    if list(settings.AUTHENTICATION_BACKENDS[:1]) == [PATH]:
        return []
    return [
        checks.Warning(
            f"{PATH} isn't the first of AUTHENTICATION_BACKENDS: passwords can be guessed without limit at every "
            "sign-in but the API's, such as the admin's.",
            hint=paste(
                "Put it first.",
                listed(
                    "AUTHENTICATION_BACKENDS", list(dict.fromkeys([PATH, *settings.AUTHENTICATION_BACKENDS]))
                ),
            ),
            id="messaging.W002",
        )
    ]


@register(Tags.security)
def sessions_in_cookies(**kwargs: Any) -> list[CheckMessage]:
    """A session can be ended on the server."""
    if not sessions.in_cookies():
        return []
    return [
        checks.Warning(
            "Sessions are kept in cookies: a copied one stays valid after its user has signed out, so `DELETE "
            "sessions` is refused, and sockets are opened with API tokens only.",
            hint=paste("Any other will do.", 'SESSION_ENGINE = "django.contrib.sessions.backends.db"'),
            id="messaging.W003",
        )
    ]


@register()
def type_names(**kwargs: Any) -> list[CheckMessage]:
    """A warning: notifications of such a type are stored and delivered like any others."""
    names = [declared.name for declared in notification_types.all_types()]
    return [
        checks.Warning(
            f"The name of the notification type {name!r} has blanks or control characters.",
            hint="Clients and rows have it as it is, and it is easily mistaken. Letters, digits and underscores are "
            "usual; rows that are stored keep the old name.",
            id="messaging.W010",
        )
        for name in names
        if any(character.isspace() or not character.isprintable() for character in name)
    ]


@register(Tags.translation)
def language_hook(**kwargs: Any) -> list[CheckMessage]:
    """Without translations there is one language, and whose it is isn't asked."""
    if settings.USE_I18N or conf.language_of is None:
        return []
    return [
        checks.Warning(
            "USE_I18N is False, so DOORBELL_LANGUAGE_OF has no effect: everyone is notified in LANGUAGE_CODE.",
            hint=paste("Django's default has translations.", "USE_I18N = True"),
            id="messaging.W011",
        )
    ]


@register(Tags.models)
def time_zones(**kwargs: Any) -> list[CheckMessage]:
    """Times on the wire are UTC, and are compared with the database's clock: both need times that know their zone."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is False, so times are stored without their zone.",
            hint=paste("What is shown to people stays in TIME_ZONE.", "USE_TZ = True"),
            id="messaging.E003",
        )
    ]


@register(Tags.models)
def routers(**kwargs: Any) -> list[CheckMessage]:
    """Raw SQL goes to the default database, and a call must see what the one before it has written."""
    models_used = [
        *apps.get_app_config("messaging").get_models(),
        users.model(),
        *users.model()._meta.all_parents,
    ]
    if apps.is_installed("django.contrib.sessions"):
        models_used.append(apps.get_model("sessions", "Session"))
    elsewhere = [
        model._meta.label
        for model in models_used
        if {router.db_for_read(model), router.db_for_write(model)} != {DEFAULT_DB_ALIAS}
    ]
    if not elsewhere:
        return []
    return [
        Error(
            f"DATABASE_ROUTERS reads or writes these in another database than 'default': {', '.join(elsewhere)}.",
            hint=paste(
                "A router of Doorbell's keeps both apps' rows, the users and the sessions in 'default', where they are "
                "never behind.",
                'DATABASE_ROUTERS = ["messaging.routers.DefaultDatabase", *DATABASE_ROUTERS]',
            ),
            id="messaging.E004",
        )
    ]


@register(Tags.models)
def user_key(**kwargs: Any) -> list[CheckMessage]:
    """A user's key can be written as text, and compared: on the wire, and in the processes' memory."""
    field = users.key_field()
    if not isinstance(field, (models.BinaryField, models.JSONField, models.FloatField)):
        return []
    return [
        Error(
            f"The primary key of {settings.AUTH_USER_MODEL} is a {type(field).__name__}, which has no one text.",
            hint="Use an integer, a UUID, a text, or a field whose to_python() reads what str() writes.",
            id="messaging.E002",
        )
    ]


@register(Tags.database)
def user_keys_are_exact(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Two keys that are one to the database are one to Python: sockets and inboxes are found by them."""
    field = users.key_field()
    if not isinstance(field, (models.CharField, models.TextField)) or DEFAULT_DB_ALIAS not in (
        databases or ()
    ):
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    collation = field.db_parameters(connection).get("collation")
    collate = f" COLLATE {connection.ops.quote_name(collation)}" if collation else ""
    given = f"CAST(%s AS {field.db_type(connection)}){collate}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {given} IN ({given}, {given})", ["a", "A", "á"])
            is_loose = cursor.fetchone()[0]
    except DatabaseError:  # before the migration that creates the type or the collation
        return []
    if not is_loose:
        return []
    return [
        Error(
            f"The primary key of {settings.AUTH_USER_MODEL} is compared without regard to case or accents: two "
            "spellings are one user to the database, and two to the server processes.",
            hint="Give it no db_collation, or one that compares exactly, and let users sign in by another field.",
            id="messaging.E008",
        )
    ]
