"""Users, messages and notifications as callers give them: an instance or its id.

Anything else is refused by name, before any SQL.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import Manager, Model

from . import users as user_model
from .exceptions import InvalidNotification
from .models import Message, Notification

# A user, or the key of one: also a UUID as text, as JSON has it.
User = AbstractBaseUser | int | str | UUID
MAX_ID = 2**63 - 1


def user_id(user: Any, name: str = "user") -> Any:
    """Return the id of a user given as an instance or id. Raises InvalidNotification."""
    if isinstance(user, AnonymousUser):
        raise InvalidNotification(f"The {name} is AnonymousUser: the request has no signed-in user.")
    return _id(user, name, user_model.model())


def several(users: Any) -> list[Any]:
    """Return users given as a queryset or any other iterable, unchecked. Raises InvalidNotification."""
    return list(iterable(users))


def iterable(users: Any) -> Iterable[Any]:
    """Return the same, not read yet."""
    if isinstance(users, Manager):
        raise InvalidNotification("The users are a manager: give its .all().")
    if isinstance(users, (Model, str, bytes)) or not isinstance(users, Iterable):
        raise InvalidNotification(
            f"The users must be an iterable of users or their ids, not {_named(users)}.{_meant(users)}"
        )
    return users


def message_id(message: Any) -> Any:
    """Return the id of a message given as an instance or id. Raises InvalidNotification."""
    return _id(message, "message", Message)


def notification_ids(notifications: Any) -> list[int]:
    """Return the ids of notifications given as a queryset or any other iterable. Raises InvalidNotification."""
    if isinstance(notifications, (Model, Manager, str, bytes)) or not isinstance(notifications, Iterable):
        raise InvalidNotification(
            f"The notifications must be an iterable of them or their ids, not {_named(notifications)}."
        )
    return [
        # Checked already where they come from the API.
        each if type(each) is int and 0 <= each <= MAX_ID else _id(each, "notification", Notification)
        for each in notifications
    ]


def _id(thing: Any, name: str, model: type[Model]) -> Any:
    # A proxy's rows are its concrete model's, and those of a child model have a parent's id.
    if isinstance(thing, model._meta.concrete_model or model):
        key = getattr(thing, str(model._meta.pk.attname))
        if key is None:
            raise InvalidNotification(f"The {name} isn't stored: not saved yet, or deleted.")
        # It may hold its key as it was given.
        return user_model.resolved(model._meta.pk).to_python(key)
    key = None if isinstance(thing, Model) else _key(thing, model)
    if key is None:
        raise InvalidNotification(
            f"The {name} must be an instance of {model._meta.label} or its id, not {_named(thing)}.{_meant(thing)}"
        )
    return key


def _key(value: Any, model: type[Model]) -> Any:
    field = user_model.resolved(model._meta.pk)
    try:
        key = field.clean(value, None)
    except (ValidationError, TypeError, ValueError):
        return None
    # For a number "5", 5.0 and True would do in a form; here they are a caller's mistake.
    is_meant = type(key) is type(value) or (isinstance(value, str) and not isinstance(key, (int, float)))
    return key if is_meant and user_model.is_storable(key) else None


def _named(thing: Any) -> str:
    # Without str() of what may query the database for it, or fail.
    kind = type(thing).__name__
    if isinstance(thing, Model):
        return f"the {kind} with the id {thing.pk}"
    return f"the {kind} {thing!r:.60}" if isinstance(thing, (str, bytes, int, float)) else f"a {kind}"


def _meant(thing: Any) -> str:
    """Return the sentence that says what to give instead of something that has users."""
    users = user_model.model()
    if not isinstance(thing, Model):
        return ""
    fields: Any = type(thing)._meta.get_fields()
    for field in fields:
        if field.related_model is not None and issubclass(users, field.related_model):
            if field.many_to_many:
                name = field.name if field.concrete else field.get_accessor_name()
                return f" For its users: notify_many({type(thing).__name__.lower()}.{name}.all(), …)."
            if field.concrete and (field.many_to_one or field.one_to_one):
                return f" For its user give .{field.name}."
    return ""
