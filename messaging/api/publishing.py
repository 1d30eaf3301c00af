"""Publishing by other programs: many items for many users, each with an outcome of its own, in the API's shapes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from messaging import logins, notifications, schemas, users
from messaging.drafts import Recipients
from messaging.exceptions import MessagingError, NothingPublished, UnknownUser
from messaging.models import ApiToken, Notification
from messaging.orm.retry import retry_on_transient

from . import requests

# Items that weren't published, by the code of their error, since the process began: for the metrics.
errors_by_code: Counter[str] = Counter()


@dataclass(slots=True)
class Outcome:
    created: int = 0
    duplicates: int = 0
    errors: list[schemas.ItemProblem] = field(default_factory=list)


def publish(
    token: ApiToken, items: Sequence[requests.NewNotification], *, atomic: bool, strict: bool = False
) -> Outcome:
    """Notify the items' users. An invalid item is reported, and the others are published.

    With `atomic` all are published, or none: NothingPublished. So it is with `strict` if every item is invalid.
    An item whose idempotency key this token has used for this user before is a duplicate, and is ignored.
    """
    outcome, rows = Outcome(), dict[int, Notification]()
    ids, keys = logins.ids_by_name({item.name for item in items if item.name is not None}), _known_keys(items)
    recipients = Recipients([*ids.values(), *keys.values()])
    for index, item in enumerate(items):
        user_id = ids.get(item.name) if item.name is not None else keys.get(item.key)
        try:
            rows[index] = _build(token, item, user_id, recipients)
        except MessagingError as error:
            outcome.errors.append(_problem(index, error))
    if atomic and outcome.errors:
        raise NothingPublished(outcome.errors)
    created, gone = retry_on_transient(lambda: _store(items, rows, atomic=atomic), timeouts=True)
    outcome.errors = sorted([*outcome.errors, *gone], key=lambda error: error.index)
    outcome.created, outcome.duplicates = created, len(rows) - created - len(gone)
    if strict and len(outcome.errors) == len(items):
        raise NothingPublished(outcome.errors)
    return outcome


def _store(
    items: Sequence[requests.NewNotification], rows: dict[int, Notification], *, atomic: bool
) -> tuple[int, list[schemas.ItemProblem]]:
    """Store the rows. Returns how many were new, and the items whose users were deleted since their ids were read."""
    with transaction.atomic():
        created, unknown = notifications.store(rows.values())
        gone = [
            _problem(index, _unknown(items[index])) for index, row in rows.items() if row.user_id in unknown
        ]
        if atomic and gone:
            raise NothingPublished(gone)
    return len(created), gone


def _problem(index: int, error: MessagingError) -> schemas.ItemProblem:
    errors_by_code[error.code] += 1
    return schemas.ItemProblem(index=index, code=error.code, detail=str(error))


def _known_keys(items: Sequence[requests.NewNotification]) -> dict[Any, Any]:
    """Return the keys that were given and are those of active users."""
    given = {item.key for item in items if item.name is None} - {None}
    if not given:
        return {}
    found = list(users.active().filter(pk__in=given).values_list("pk", flat=True))
    left_out = users.inactive(found)
    return {key: key for key in found if key not in left_out}


def _unknown(item: requests.NewNotification) -> UnknownUser:
    who = f"with the id {item.key}" if item.name is None else repr(item.name)
    return UnknownUser(f"There is no user {who}.")


def _build(
    token: ApiToken, item: requests.NewNotification, user_id: Any, recipients: Recipients
) -> Notification:
    if user_id is None:
        raise _unknown(item)
    key = item.idempotency_key
    return notifications.build(
        user_id,
        item.notification_type,
        None if item.title is requests.LEFT_OUT else item.title,
        item.description,
        level=item.level,
        url=item.url,
        dedupe_key=None if key is None else f"pub:{token.pk}:{key}",
        data=item.data,
        recipients=recipients,
    )
