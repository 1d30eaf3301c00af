"""Foreign keys to the user model, and the names by which their rows are reached from a user: `user.notifications`.

The names are the project's to choose (DOORBELL_REVERSE_NAMES), so no query of ours may go by one: `query_name` returns
the one that holds. Migrations see `related_name="+"`: no name is in a project's history, and none causes a migration.
"""

import inspect
from typing import Any

from django.core.checks import CheckMessage
from django.db import models

from messaging.conf import conf

# Of Django's checks: the messages on a name that two fields have. messaging.E007 says it of all names at once.
CLASHES = frozenset({"fields.E302", "fields.E303", "fields.E304", "fields.E305"})


def related_name(default: str) -> str:
    """Return the `related_name` for this default: as the project says, else the default itself.

    Without a name it is one that only a query of ours can go by, since no identifier ends with "+".
    """
    return conf.reverse_names.get(default, default) or f"{default}+"


def query_name(model: type[models.Model], key: str = "user") -> str:
    """Return the name by which a query on users joins this model's rows."""
    field: Any = model._meta.get_field(key)
    return str(field.related_query_name())


class _NamedByProject:
    """`default_name`: the reverse name unless the project chooses another one."""

    # The user model has an attribute of this name, which isn't a field and stays as it is.
    is_taken = False

    def __init__(self, *args: Any, default_name: str = "", **options: Any) -> None:
        self.default_name = default_name
        if default_name:
            options["related_name"] = related_name(default_name)
        super().__init__(*args, **options)

    def contribute_to_related_class(self, cls: type[models.Model], related: Any) -> None:
        owner: Any = cls._meta.concrete_model
        name = "" if related.hidden else str(related.get_accessor_name())
        own = vars(owner).get(name)
        self.is_taken = bool(name) and inspect.getattr_static(owner, name, None) is not None
        super().contribute_to_related_class(cls, related)  # type: ignore[misc]
        # A property or a method, say, which Django replaces without a word.
        if self.is_taken and own is None:
            delattr(owner, name)
        elif self.is_taken:
            setattr(owner, name, own)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        found: list[CheckMessage] = super().check(**kwargs)  # type: ignore[misc]
        return [message for message in found if message.id not in CLASHES]

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()  # type: ignore[misc]
        return name, self.path_in_migrations, args, options | {"related_name": "+"}  # type: ignore[attr-defined]


class UserKey(_NamedByProject, models.ForeignKey):  # type: ignore[type-arg]
    path_in_migrations = "django.db.models.ForeignKey"


class OneToOneUserKey(_NamedByProject, models.OneToOneField):  # type: ignore[type-arg]
    path_in_migrations = "django.db.models.OneToOneField"
