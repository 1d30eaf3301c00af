"""Checks that nothing else of the project has the names by which our rows are reached from a user."""

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import models

from . import users
from .conf import Conf, conf
from .orm.user_keys import OneToOneUserKey, UserKey

PAGE = 'docs/install.md, "Names on your user model"'


@register(Tags.models)
def names_are_free(**kwargs: Any) -> list[CheckMessage]:
    """All clashes at once, with the setting that resolves them: Django's own hint is a change of our code."""
    clashes = {
        key.default_name: name for key in named_keys() if (name := _name_of(key)) and _is_taken(key, name)
    }
    if not clashes:
        return []
    chosen = {default: name for default, name in conf.reverse_names.items() if default not in clashes}
    proposed = chosen | {default: f"doorbell_{default}" for default in clashes}
    label = users.model()._meta.label
    return [
        Error(
            f"{label} has {' and '.join(sorted(map(repr, clashes.values())))} already: the names by which Doorbell's "
            "rows would be reached from a user.",
            hint=f"Give them other names, or None for no name: {Conf.reverse_names.name} = {proposed}. No "
            f"migration follows from it. See {PAGE}.",
            id="messaging.E007",
        )
    ]


def named_keys() -> list[Any]:
    """Return our foreign keys whose reverse name the project chooses."""
    fields = (field for model in apps.get_models() for field in model._meta.local_fields)
    return [field for field in fields if isinstance(field, (UserKey, OneToOneUserKey)) and field.default_name]


def _name_of(key: Any) -> str:
    return "" if key.remote_field.hidden else str(key.remote_field.get_accessor_name())


def _is_taken(key: Any, name: str) -> bool:
    if key.is_taken:
        return True
    # A child's or proxy's names are the names of users, too.
    kinds = (model for model in apps.get_models() if issubclass(model, users.concrete_model()))
    fields = (field for model in kinds for field in model._meta.get_fields())
    return any(name in _names_of(field) for field in fields if field is not key.remote_field)


def _names_of(field: Any) -> set[str]:
    if isinstance(field, models.ForeignObjectRel):
        return set() if field.hidden else {field.name, str(field.get_accessor_name())}
    return {field.name}
