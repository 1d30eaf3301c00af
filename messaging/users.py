"""The project's user model, whichever it is: its name field, its key, who exists, who is active, which classes share
its rows. The only module that reads them: all others call it, and use neither `User.objects` nor an `is_active` column.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    EmailField,
    Field,
    IntegerField,
    Model,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import Col

# The largest integer that every JSON reader keeps: JavaScript's numbers have 53 bits.
MAX_SAFE_ID = 2**53 - 1

# --- Names -------------------------------------------------------------------------------------------------------


def model() -> Any:
    return _model(settings.AUTH_USER_MODEL)


@functools.cache
def _model(label: str) -> Any:
    # Called a dozen times by each request.
    return get_user_model()


def name_field() -> str:
    """Return the field of the name by which a user signs in. What others see is in names.py."""
    return str(model().USERNAME_FIELD)


def email_field() -> str:
    """Return the field of the e-mail address: Django's guess where the model names none."""
    return str(getattr(model(), "EMAIL_FIELD", "email"))


def name_of(user: Any) -> str:
    """Return the name by which a user signs in: empty if the field is NULL."""
    return str(user.get_username() or "")


def has_text_names() -> bool:
    """Return whether the name by which a user signs in is a text."""
    return isinstance(model()._meta.get_field(name_field()), (CharField, TextField))


def signs_in_by_name() -> bool:
    """Return whether it is a name that others may see: a text, and no e-mail address. Asked for every push."""
    return _signs_in_by_name(settings.AUTH_USER_MODEL)


@functools.cache
def _signs_in_by_name(label: str) -> bool:
    field = model()._meta.get_field(name_field())
    return has_text_names() and field.name != email_field() and not isinstance(field, EmailField)


# --- Keys --------------------------------------------------------------------------------------------------------


def key_name() -> str:
    """Return the name of the primary key. A child model has it, too, beside one of its own."""
    return str(model()._meta.pk.name)


def key_field() -> Any:
    """Return the field of the primary key: that of a child model is its parent's."""
    return resolved(model()._meta.pk)


def resolved(key: Any) -> "Field[Any, Any]":
    while key.remote_field is not None:
        key = key.target_field
    return key  # type: ignore[no-any-return]


def has_integer_keys() -> bool:
    """Return whether the key is one of Django's own integer fields, whose values are stored as they are."""
    field = key_field()
    return isinstance(field, IntegerField) and type(field).__module__ == IntegerField.__module__


def key_of(text: Any) -> Any:
    """Return the key that a text stands for, as a session or an address has it; None if it can't be a user's."""
    try:
        key = key_field().to_python(text)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    return key if is_storable(key) else None


def is_storable(key: Any) -> bool:
    """Return whether the database takes this key as a parameter."""
    if isinstance(key, int):
        return -(2**63) <= key < 2**63
    # PostgreSQL stores no NUL, and half of a surrogate pair can't be encoded.
    return key is not None and not (
        isinstance(key, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in key)
    )


def as_keys(given: Iterable[Any]) -> list[Any]:
    """Return keys in the type that the database returns: an instance may hold what it was given, a UUID as text say."""
    to_python = key_field().to_python
    return [to_python(key) for key in given]


def id_of(instance: Any) -> Any:
    """Return the user's key of an instance of the user model, of a proxy or a child: a child may have another one."""
    return key_field().to_python(getattr(instance, model()._meta.pk.attname, instance.pk))


def wire_id(key: Any) -> int | str:
    """Return the id that stands for a key on the wire: an integer that every client keeps, else a text."""
    return key if type(key) is int and -MAX_SAFE_ID <= key <= MAX_SAFE_ID else str(key)


def key_from_wire(wire: Any) -> Any:
    """Return the key of an id that `wire_id` has made. Raises TypeError for anything else."""
    if type(wire) is int:
        return wire
    key = key_of(wire) if isinstance(wire, str) else None
    if key is None or wire_id(key) != wire:
        raise TypeError(f"not the id of a user: {wire!r:.100}")
    return key


def slug(key: Any) -> str:
    """Return ASCII letters and digits, at most 40, that stand for a key in the name of a group or in a longer key."""
    return str(key) if type(key) is int else hashlib.blake2b(str(key).encode(), digest_size=20).hexdigest()


def key_type() -> str:
    """Return the SQL type of a column that refers to users."""
    return str(key_field().rel_db_type(connection))


def to_db(keys: Iterable[Any]) -> list[Any]:
    """Return keys as parameters of a statement in SQL. None stays None."""
    if has_integer_keys():
        return list(keys)
    field = key_field()
    return [None if key is None else field.get_db_prep_value(key, connection) for key in keys]


def from_db() -> Callable[[Any], Any]:
    """Return the function that makes a key of what a statement in SQL returns. None stays None."""
    return _from_db(key_field())


@functools.cache
def _from_db(field: "Field[Any, Any]") -> Callable[[Any], Any]:
    column = Col("", field)
    converters = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]

    def convert(value: Any) -> Any:
        if value is not None:
            for converter in converters:
                value = converter(value, column, connection)
        return value

    return convert


# --- Who exists, and who is active -------------------------------------------------------------------------------


def people() -> QuerySet[Any]:
    """Return those whom the project shows: its default manager may hide some, as deleted for example."""
    return model()._default_manager.all()  # type: ignore[no-any-return]


def everybody(using: str | None = None) -> QuerySet[Any]:
    """Return every stored user, hidden ones included: the rows that foreign keys refer to."""
    return QuerySet(model(), using=using)


def active(among: QuerySet[Any] | None = None) -> QuerySet[Any]:
    """Return the active users, as far as SQL can express it: `inactive` says which of them aren't."""
    return (people() if among is None else among).filter(_active_column(""))


def has_groups() -> bool:
    """Return whether users have Django's groups: a model without PermissionsMixin has none."""
    groups = {field.name: field for field in model()._meta.many_to_many}.get("groups")
    return groups is not None and groups.related_model._meta.label == "auth.Group"


def active_of(group_id: int | None) -> QuerySet[Any]:
    """Return the active users of this group, or all of them if None, as far as SQL can express it."""
    return active() if group_id is None else active().filter(groups=group_id)


def only_active(rows: QuerySet[Any]) -> Iterable[Any]:
    """Return these users, and where only Python knows who is active an iterable of those who are."""
    return (user for user in rows.iterator() if is_active(user)) if is_computed() else rows


def usable(through: str = "") -> Q:
    """Return the condition that a user is active and not hidden, as far as SQL can express it.

    `through`: the foreign key to the user, for rows of another model.
    """
    return _active_column(f"{through}__" if through else "") & shown(through)


def shown(through: str = "") -> Q:
    """Return the condition that the project shows a user: an empty one where its default manager hides nobody."""
    rows = people()
    return Q(**{f"{through or 'pk'}__in": rows.order_by().values("pk")}) if rows.query.where else Q()


def is_usable() -> Any:
    """Return the same as a column or expression, for rows of `everybody`."""
    if _activity(model()) == "column" and not people().query.where:
        return "is_active"
    condition = usable()
    return Case(When(condition, then=True), default=False) if condition else Value(True)


def is_active(user: Any) -> bool:
    """Return whether a user is active, as Django decides it: where the model doesn't say so, everyone is."""
    return bool(getattr(user, "is_active", True))


def inactive(user_ids: Collection[Any]) -> set[Any]:
    """Return which of these users are inactive by a computed `is_active`. Any other model needs no query."""
    if not is_computed() or not user_ids:
        return set()
    return {user.pk for user in everybody().filter(pk__in=user_ids) if not is_active(user)}


def is_computed() -> bool:
    """Return whether `is_active` is known to Python alone: a property, or a column that isn't a boolean."""
    return _activity(model()) == "computed"


@functools.cache
def _activity(users: type[Model]) -> str:
    if not hasattr(users, "is_active"):
        return "constant"
    fields = {field.name: field for field in users._meta.concrete_fields}
    if "is_active" in fields:
        return "column" if isinstance(fields["is_active"], BooleanField) else "computed"
    return "constant" if inspect.getattr_static(users, "is_active") is True else "computed"


def _active_column(prefix: str) -> Q:
    return Q(**{f"{prefix}is_active": True}) if _activity(model()) == "column" else Q()


# --- Classes that share the rows ---------------------------------------------------------------------------------


def concrete_model() -> type[Model]:
    return model()._meta.concrete_model  # type: ignore[no-any-return]


def shares_row(candidate: type[Model]) -> bool:
    """Return whether saving an instance may change a user: of the model, a parent, a proxy or a child of either."""
    own = concrete_model()
    return issubclass(candidate, (own, *own._meta.all_parents))


def is_model_or_proxy(candidate: type[Model]) -> bool:
    return candidate._meta.concrete_model is concrete_model()
