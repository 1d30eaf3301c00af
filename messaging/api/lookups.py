"""What the calls look up: a page of rows, and a user as visible to another one."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import register_converter

from messaging import audience, names, users
from messaging.conf import conf
from messaging.exceptions import UnknownUser
from messaging.models import Block, Contact, Message, Notification

from . import queries


def find_user(among: QuerySet[Any], name: str | None, key: Any, is_meant: Callable[[Any], bool]) -> Any:
    """Return the one of these users who is meant and called so, or has this key if no name is given; or None."""
    if name is not None:
        return names.find(among, name, is_meant)
    user = None if key is None else among.filter(pk=key).first()
    return user if user is not None and is_meant(user) else None


class AnyText:
    """A path converter for keys that may have slashes and line breaks."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


register_converter(AnyText, "doorbell_key")
# A user's id in an address.
USER_ID = "{user_id}" if users.has_integer_keys() else "{doorbell_key:user_id}"


def user_known_to(user: Any, name: str | None = None, key: Any = None) -> Any:
    """Return another user. Raises UnknownUser for none, and for one whom `user` can't know.

    Old conversations stay readable; to all others a deactivated account looks like none. Where neither the directory
    nor the sending of messages is open, no user can be found by trying names.
    """
    found = find_user(users.people(), name, key, lambda other: _is_known(user, other))
    if found is None:
        raise UnknownUser
    return found


def may_write(sender: Any, receiver: Any) -> bool:
    """Return whether a user may write to another one, who is active."""
    return (
        conf.may_write is None or audience.may_write(sender, users.people().filter(pk=receiver.pk)).exists()
    )


def _is_known(user: Any, other: Any) -> bool:
    is_active = users.is_active(other)
    if is_active and (conf.users or conf.messages) and (other.pk == user.pk or may_write(user, other)):
        return True
    if Message.objects.visible_to(user).between(user, other).exists():
        return True
    return is_active and (
        other.pk == user.pk
        or Contact.objects.filter(Q(low=user, high=other) | Q(low=other, high=user)).exists()
        or Notification.objects.filter(user=user, actor=other).exists()
        or Block.objects.filter(blocker=user, blocked=other).exists()
    )


def page(
    rows: QuerySet[Any], query: queries.Page, *columns: str, **named: Any
) -> tuple[list[dict[str, Any]], Any]:
    """Read one page, newest first, and the `before` of the page that follows it, or None."""
    if query.before is not None:
        rows = rows.filter(pk__lt=query.before)
    found = list(rows.order_by("-pk").values("pk", *columns, **named)[: query.limit + 1])
    following = found[query.limit - 1]["pk"] if len(found) > query.limit else None
    return found[: query.limit], following
