"""Who may write to whom, and who may see whom: what the project's hooks DOORBELL_MAY_WRITE and DOORBELL_MAY_SEE say.

Both are called for many users at once. They only narrow what holds without them; blocks hold in any case.
"""

import logging
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from . import hooks
from .conf import conf
from .exceptions import HookFailed

logger = logging.getLogger(__name__)

# A viewer's id and the id of the user whom they see.
Sight = tuple[Any, Any]


def may_write(sender: Any, receivers: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these users to whom a user may write."""
    if conf.may_write is None:
        return receivers
    allowed = hooks.call("may_write", sender, receivers)
    if not isinstance(allowed, QuerySet):
        raise hooks.failure("may_write", f"it returned {type(allowed).__name__}, not a queryset of users")
    # A hook that joins may give a row twice, and one that starts anew may give more than it was given.
    return receivers.filter(pk__in=allowed.values("pk"))


def is_limited() -> bool:
    """Return whether the project decides which contacts see each other."""
    return conf.may_see is not None


def denied(sights: Iterable[Sight]) -> set[Sight]:
    """Return which of these sights the project doesn't allow. All of them if its hook fails. Without a hook, none."""
    if not is_limited():
        return set()
    asked = set(sights)
    if not asked:
        return asked
    try:
        allowed = hooks.call("may_see", frozenset(asked))
        try:
            return asked.difference(allowed)
        except TypeError as error:
            raise hooks.failure(
                "may_see", f"it returned {type(allowed).__name__}, not pairs of ids"
            ) from error
    except HookFailed:
        logger.exception("these users are shown to none of these viewers, until the hook answers again")
        return asked
