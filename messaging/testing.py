"""For a project's tests: asserting in one line which notifications were made. Reads rows, and changes nothing.

Rows are read in the test's own transaction: it works in a TestCase, where nothing is ever committed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Max

from . import notification_types, users
from .data import checked
from .models import Message, Notification
from .orm.fields import known_level, plain
from .references import User, message_id, user_id

__all__ = ["assert_notified", "notifications_sent"]

# unittest and pytest show the line of the test, and not those in here.
__unittest = True
# Of a failing assertion, so that its text stays readable.
SHOWN = 10


@contextmanager
def notifications_sent() -> Iterator[list[Notification]]:
    """Collect the notifications made in a block, of all users, in the order in which they were stored.

    The list is filled at the end of the block; what was rolled back or deleted isn't in it.

        with notifications_sent() as sent:
            order.pay()
        assert [(row.user, row.title) for row in sent] == [(ada, "Paid")]
    """
    last = Notification.everything.aggregate(last=Max("pk"))["last"] or 0
    sent: list[Notification] = []
    yield sent
    sent += Notification.everything.filter(pk__gt=last).select_related("user").order_by("pk")


def assert_notified(
    user: User,
    notification_type: str | None = None,
    *,
    count: int | None = None,
    title: Any = None,
    description: Any = None,
    level: str | None = None,
    url: Any = None,
    actor: User | None = None,
    message: Message | int | None = None,
    dedupe_key: Any = None,
    data: dict[str, Any] | None = None,
    among: list[Notification] | None = None,
) -> list[Notification]:
    """Assert that a user has notifications with all that is given; return them, in the order of their making.

    `count`: how many; without it one or more, and 0 for none. `among`: those that `notifications_sent` has collected,
    instead of all. A failure says what the user was notified of instead.

        assert_notified(ada, "invoice_paid", count=1, title="Invoice 7 is paid")
        assert_notified(grace, count=0)

    Raises what `notify` raises for a type, level or user that can't be: with `count=0` a misspelt one would be right.
    """
    __tracebackhide__ = True
    owner = user_id(user)
    expected: dict[str, Any] = {
        "notification_type": None
        if notification_type is None
        else notification_types.get(notification_type).name,
        "title": plain(title),
        "description": plain(description),
        "level": None if level is None else known_level(level),
        "url": plain(url),
        "actor_id": None if actor is None else user_id(actor, "actor"),
        "message_id": None if message is None else message_id(message),
        "dedupe_key": plain(dedupe_key),
        "data": checked(data),
    }
    expected = {name: value for name, value in expected.items() if value is not None}
    if among is None:
        among = list(Notification.objects.order_by("pk"))
    found = [
        row
        for row in among
        if row.user_id == owner and all(getattr(row, name) == value for name, value in expected.items())
    ]
    if len(found) == count or (count is None and found):
        return found
    raise AssertionError(_failure(user, owner, expected, count, found, among))


def _failure(
    user: User,
    owner: Any,
    expected: dict[str, Any],
    count: int | None,
    found: list[Notification],
    among: list[Notification],
) -> str:
    wanted = "a notification" if count is None else f"{count} notification{'s' * (count != 1)}"
    what = ", ".join(f"{name}={value!r}" for name, value in expected.items())
    lines = [f"Expected {wanted} of {_name(owner)}{' with ' * bool(what)}{what}; found {len(found)}."]
    theirs = [row for row in among if row.user_id == owner]
    if theirs:
        lines.append(f"All notifications of {_name(owner)}, the newest first:")
        lines += [_line(row, expected) for row in theirs[: -SHOWN - 1 : -1]]
        lines += [f"  … and {len(theirs) - SHOWN} more"] * (len(theirs) > SHOWN)
    else:
        lines.append(f"{_name(owner)} has no notification at all.")
    others = Counter(row.user_id for row in among if row.user_id != owner)
    if others:
        counts = ", ".join(f"{_name(key)} {number}" for key, number in others.most_common(SHOWN))
        lines.append(f"Notifications of others: {counts}.")
    if waiting := _waiting_for_commit():
        lines.append(
            f"Still waiting for a commit, which a TestCase never makes: {', '.join(waiting)}. Run the code inside "
            "`with self.captureOnCommitCallbacks(execute=True):`, or pytest-django's "
            "`django_capture_on_commit_callbacks(execute=True)`."
        )
    return "\n".join(lines)


def _name(key: Any) -> str:
    owner = users.everybody().filter(pk=key).first()
    return (owner and users.name_of(owner)) or f"user {key}"


def _line(row: Notification, expected: dict[str, Any]) -> str:
    shown = {"notification_type": row.notification_type, "title": row.title}
    shown |= {name: getattr(row, name) for name in expected}
    differing = [name for name, value in expected.items() if getattr(row, name) != value]
    text = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return f"  {text}" + (f" (differs in {', '.join(differing)})" if differing else "")


def _waiting_for_commit() -> list[str]:
    """Return the names of the project's functions that run on commit; ours only push what is stored already."""
    functions = [function for _, function, *_ in connections[DEFAULT_DB_ALIAS].run_on_commit]
    named = [
        (getattr(function, "__module__", None) or "", getattr(function, "__qualname__", repr(function)))
        for function in functions
    ]
    ours = ("messaging.", "realtime.")
    return [f"{module}.{name}" for module, name in named if not module.startswith(ours)]
