"""What the calls look up: a page of rows, and a user as visible to another one."""

from typing import Any

from django.db.models import F, QuerySet
from django.urls import register_converter

from messaging import users
from messaging.exceptions import UnknownUser
from messaging.models import Message

from . import requests

NAME = users.name_field()


class AnyText:
    """A path converter for keys that may have slashes and line breaks."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


register_converter(AnyText, "doorbell_key")
# A user's id in an address.
USER_ID = "{user_id}" if users.has_integer_keys() else "{doorbell_key:user_id}"


def user_known_to(user: Any, **by: Any) -> Any:
    """Return another user. Raises UnknownUser for none, and for a deactivated one without a conversation with `user`.

    Old conversations stay readable; to all others a deactivated account looks like none.
    """
    found = users.people().filter(**by).first()
    if found is not None and not users.is_active(found):
        conversation = Message.objects.visible_to(user).between(user, found)
        found = found if conversation.exists() else None
    if found is None:
        raise UnknownUser
    return found


def page(
    rows: QuerySet[Any], query: requests.Page, *columns: str, **named: F
) -> tuple[list[dict[str, Any]], Any]:
    """Read one page, newest first, and the `before` of the page that follows it, or None."""
    if query.before is not None:
        rows = rows.filter(pk__lt=query.before)
    found = list(rows.order_by("-pk").values("pk", *columns, **named)[: query.limit + 1])
    following = found[query.limit - 1]["pk"] if len(found) > query.limit else None
    return found[: query.limit], following
