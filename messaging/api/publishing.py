"""Publishing by other programs: many items for many users, each with an outcome of its own, in the API's shapes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.contrib.auth import get_user_model

from messaging import notifications, schemas
from messaging.exceptions import MessagingError, NothingPublished, UnknownUser
from messaging.models import ApiToken, Notification


@dataclass(slots=True)
class Outcome:
    created: int = 0
    duplicates: int = 0
    errors: list[schemas.ItemProblem] = field(default_factory=list)


def publish(token: ApiToken, items: Sequence[schemas.NewNotification], *, atomic: bool) -> Outcome:
    """Notify the items' users. An invalid item is reported, and the others are published.

    With `atomic` all are published, or none: NothingPublished. An item whose idempotency key this token has used for
    this user before is a duplicate, and is ignored.
    """
    name = get_user_model().USERNAME_FIELD
    known = get_user_model().objects.filter(is_active=True, **{f"{name}__in": {item.user for item in items}})
    ids = dict(known.values_list(name, "pk"))
    outcome = Outcome()
    rows: list[Notification] = []
    for index, item in enumerate(items):
        try:
            rows.append(_build(token, item, ids))
        except MessagingError as error:
            outcome.errors.append(schemas.ItemProblem(index=index, code=error.code, detail=str(error)))
    if atomic and outcome.errors:
        raise NothingPublished(outcome.errors)
    outcome.created = len(notifications.create(rows))
    outcome.duplicates = len(rows) - outcome.created
    return outcome


def _build(token: ApiToken, item: schemas.NewNotification, ids: dict[str, int]) -> Notification:
    if item.user not in ids:
        raise UnknownUser(f"There is no user {item.user!r}.")
    key = item.idempotency_key
    return notifications.build(
        ids[item.user],
        item.notification_type,
        item.title,
        item.description,
        level=item.level,
        url=item.url,
        dedupe_key=None if key is None else f"pub:{token.pk}:{key}",
    )
