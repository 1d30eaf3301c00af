"""What a project's tests assert with, in a transaction that is never committed; and what a failure says, in full."""

import inspect
import re
from pathlib import Path

import pytest
from django.db import transaction

from messaging import notifications
from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Notification
from messaging.notifications import notify, notify_many
from messaging.testing import assert_notified, notifications_sent

PAGE = (Path(__file__).resolve().parents[2] / "docs/testing.md").read_text()


def later() -> None:
    """A project's function that runs on commit."""


later.__module__ = "shop.orders"


def failure(*args, **expected) -> str:
    with pytest.raises(AssertionError) as raised:
        assert_notified(*args, **expected)
    return str(raised.value)


def test_what_was_made_is_found_by_all_that_it_has(ada, grace):
    made = notify(
        ada, "announcement", "Hello", "To all", level="error", url="/news/", actor=grace, dedupe_key="7"
    )
    assert assert_notified(ada) == [made]
    for user in (ada, ada.pk):
        assert assert_notified(user, "announcement", count=1, title="Hello", description="To all") == [made]
    assert assert_notified(ada, level="error", url="/news/", actor=grace, dedupe_key="7") == [made]
    assert assert_notified(grace, count=0) == []
    assert assert_notified(ada, count=0, title="Good bye") == []


@pytest.mark.parametrize(
    "other",
    [
        {"title": "x"},
        {"description": "x"},
        {"level": "info"},
        {"url": "/x/"},
        {"dedupe_key": "x"},
        {"count": 2},
        {"count": 0},
        {"notification_type": "new_message"},
    ],
)
def test_any_difference_fails(ada, grace, other):
    notify(ada, "announcement", "Hello", "To all", level="error", url="/news/", actor=grace, dedupe_key="7")
    failure(ada, **other)
    failure(ada, actor=ada)
    failure(grace)


def test_what_can_never_be_is_an_error_and_not_right_by_chance(ada):
    with pytest.raises(UnknownNotificationType):
        assert_notified(ada, "invoice_payed", count=0)
    with pytest.raises(InvalidNotification):
        assert_notified(ada, count=0, level="critical")
    with pytest.raises(InvalidNotification):
        assert_notified("ada", count=0)
    with pytest.raises(TypeError):
        assert_notified(ada, count=0, titel="Hello")  # type: ignore[call-arg]


def test_a_block_collects_what_is_made_in_it(ada, grace):
    before = notify(ada, "announcement", "Before")
    with notifications_sent() as sent:
        notify(ada, "announcement", "One")
        notify_many([grace, ada], "announcement", "Two")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            notify(ada, "announcement", "Rolled back")
            1 / 0  # noqa: B018
        notifications.mark_read(ada, [before.pk])
        removed = notify(grace, "announcement", "Removed again")
        notifications.remove(grace, [removed.pk])
    made = [(row.user.username, row.title) for row in sent]
    assert made[0] == ("ada", "One")
    assert sorted(made[1:3]) == [("ada", "Two"), ("grace", "Two")]
    assert made[3:] == [("grace", "Removed again")]
    assert_notified(ada, count=2, among=sent)
    assert "Before" not in failure(ada, count=3, among=sent)


def test_a_failing_block_shows_its_own_error(ada):
    with pytest.raises(ZeroDivisionError), notifications_sent():
        1 / 0  # noqa: B018


def test_a_failure_says_what_there_is_instead(ada, grace):
    notify(ada, "announcement", "Hello")
    notify(ada, "announcement", "Invoice 8 is paid", url="/8/")
    notify(grace, "announcement", "Hello")
    assert failure(ada, "announcement", count=1, title="Invoice 7 is paid", url="/8/") == (
        "Expected 1 notification of ada with notification_type='announcement', title='Invoice 7 is paid', "
        "url='/8/'; found 0.\n"
        "All notifications of ada, the newest first:\n"
        "  notification_type='announcement', title='Invoice 8 is paid', url='/8/' (differs in title)\n"
        "  notification_type='announcement', title='Hello', url=None (differs in title, url)\n"
        "Notifications of others: grace 1."
    )
    assert failure(ada, count=0, title="Hello").splitlines()[0] == (
        "Expected 0 notifications of ada with title='Hello'; found 1."
    )
    Notification.objects.all().delete()
    assert failure(ada) == "Expected a notification of ada; found 0.\nada has no notification at all."


def test_a_failure_shows_ten_at_most(ada):
    notify_many([ada] * 12, "announcement", "Hello")
    lines = failure(ada, count=1).splitlines()
    assert (len(lines), lines[-1]) == (13, "  … and 2 more")


def test_a_failure_names_what_waits_for_a_commit(ada, django_capture_on_commit_callbacks):
    notify(ada, "announcement", "Ours waits for the commit too, and isn't named")
    assert "Still waiting" not in failure(ada, title="Hello")
    transaction.on_commit(later)
    assert failure(ada, title="Hello").splitlines()[-1] == (
        "Still waiting for a commit, which a TestCase never makes: shop.orders.later. Run the code inside "
        "`with self.captureOnCommitCallbacks(execute=True):`, or pytest-django's "
        "`django_capture_on_commit_callbacks(execute=True)`."
    )
    with django_capture_on_commit_callbacks(execute=True):
        transaction.on_commit(lambda: notify(ada, "announcement", "Hello"))
    assert_notified(ada, title="Hello")


def test_the_page_shows_every_argument_and_a_failure_as_it_is(ada, grace, monkeypatch):
    [shown] = re.findall(r"^`assert_notified\((.*)\)`$", PAGE, re.MULTILINE)
    parameters = inspect.signature(assert_notified).parameters.values()
    assert re.findall(r"(\w+)(?:=None)?(?:, |$)", shown) == [parameter.name for parameter in parameters]
    notify(ada, "announcement", "Invoice 8 is paid")
    notify(grace, "announcement", "Hello")
    said = failure(ada, "announcement", count=1, title="Invoice 7 is paid").replace(
        "announcement", "invoice_paid"
    )
    assert f"```\nAssertionError: {said}\n```" in PAGE.replace("announcement", "invoice_paid")
