"""manage.py notify, and manage.py rotate_epoch."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from messaging import notifications, pruning
from messaging.models import Inbox, Notification


def run(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_it_notifies_a_user(ada, assigned):
    printed = run("notify", "ada", "Doorbell is here")
    row = Notification.objects.get(user=ada)
    assert printed == f"Notified ada: notification {row.pk}.\n"
    assert (row.notification_type, row.title, row.description) == ("announcement", "Doorbell is here", "")
    assert (row.level, row.url, row.is_read) == ("info", None, False)
    assert assigned(ada)[0].unread_count == 1


def test_everything_a_notification_has_can_be_given(ada):
    run("notify", "ada", "Paid", "By card.", "--type=message_read", "--level=warning", "--url=/invoices/1/")
    row = Notification.objects.get(user=ada)
    assert (row.notification_type, row.description, row.level, row.url) == (
        "message_read",
        "By card.",
        "warning",
        "/invoices/1/",
    )


def test_the_level_is_the_types_own_unless_given(ada):
    run("notify", "ada", "Read", "--type", "message_read")
    assert Notification.objects.get().level == "success"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nobody", "Hello"], "There is no active user 'nobody'"),
        (["ada", ""], "title must be a text of 1 to 200"),
        (["ada", "x" * 201], "title must be a text of 1 to 200"),
        (["ada", "Hello", "x" * 501], "description"),
        (["ada", "Hello", "--type", "zzz"], "no notification type 'zzz'; declared are: announcement"),
        (["ada", "Hello", "--level", "loud"], "level must be info, success, warning or error"),
        (["ada", "Hello", "--url", "javascript:alert(1)"], "url must be relative"),
        (["ada"], "title"),
        (["\udcff", "Hello"], r"'\\udcff' has control characters, or isn't UTF-8"),
    ],
)
def test_it_says_what_is_wrong(ada, arguments, what):
    with pytest.raises(CommandError, match=what) as refused:
        run("notify", *arguments)
    assert refused.value.returncode == 1
    assert not Notification.objects.exists()


def test_a_deactivated_user_is_not_notified(ada):
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(CommandError, match="no active user"):
        run("notify", "ada", "Hello")


def test_it_can_be_silent(ada):
    assert run("notify", "ada", "Hello", verbosity=0) == ""


def test_every_inbox_gets_a_new_epoch_and_keeps_the_rest(ada, grace, linus, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 2)
    notifications.notify(ada, "announcement", "Hello")
    notifications.assign_revisions([ada.pk])
    before = {inbox.pk: inbox for inbox in Inbox.objects.all()}
    assert run("rotate_epoch") == "3 inboxes got a new epoch.\n"
    for inbox in Inbox.objects.all():
        old = before[inbox.pk]
        assert inbox.epoch != old.epoch
        assert (inbox.revision, inbox.unread_count, inbox.floor) == (
            old.revision,
            old.unread_count,
            old.floor,
        )
    # All different, so that a client that takes one user's inbox for another's notices.
    assert Inbox.objects.values("epoch").distinct().count() == 3


def test_without_inboxes_no_epoch_is_rotated(db):
    assert run("rotate_epoch") == "0 inboxes got a new epoch.\n"


COMMANDS = [
    *("notify", "prune_notifications", "rotate_epoch"),
    *("check_inboxes", "create_api_token", "sweep_presence"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command(command, "--help")
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 200
