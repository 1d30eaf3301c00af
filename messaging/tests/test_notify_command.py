"""manage.py notify, and manage.py rotate_epoch."""

import io

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from messaging import broadcasting, notifications, pruning, storing
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
        (["ada"], "Expected USER TITLE"),
        (["ada", "Maintenance", "at", "noon"], "put quotation marks around a text with spaces"),
        (["ada", "Hello", "--key", "noon"], "--key goes with --all or --group"),
        (["ada", "Hello", "?", "--all"], "Expected TITLE"),
        (["Hello", "--group", "editors"], "no group 'editors'; there are: none"),
        (["Hello", "--all", "--key", "x" * 201], "dedupe_key must be a text of 1 to 200"),
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


@pytest.mark.django_db(transaction=True)
def test_it_notifies_all_active_users_and_says_with_which_key_it_goes_on(ada, grace, linus):
    User.objects.filter(pk=linus.pk).update(is_active=False)
    printed = run("notify", "--all", "Noon", "See you", "--key", "noon-7", "--level=warning")
    assert printed == (
        "Sending. If it is interrupted, the same command goes on with --key noon-7\nNotified 2 users.\n"
    )
    run("notify", "--all", "Noon", "--key", "noon-7")
    rows = Notification.objects.order_by("user")
    assert [(row.user, row.description, row.level) for row in rows] == [
        (ada, "See you", "warning"),
        (grace, "See you", "warning"),
    ]
    assert "--key notify:" in run("notify", "--all", "Later")
    assert run("notify", "--all", "Silent", verbosity=0) == ""


@pytest.mark.django_db(transaction=True)
def test_it_notifies_a_group(ada, grace, linus):
    group = Group.objects.create(name="editors")
    group.user_set.add(ada, grace)
    assert run("notify", "--group", "editors", "Noon").endswith("Notified 2 users.\n")
    assert set(Notification.objects.values_list("user", flat=True)) == {ada.pk, grace.pk}
    with pytest.raises(CommandError, match="no group 'authors'; there are: 'editors'"):
        run("notify", "--group", "authors", "Noon")
    with pytest.raises(CommandError, match="not allowed with"):
        run("notify", "--group", "editors", "--all", "Noon")


@pytest.mark.django_db(transaction=True)
def test_a_broadcast_that_is_interrupted_says_how_it_goes_on(ada, grace, monkeypatch):
    monkeypatch.setattr(broadcasting, "USERS_PER_BATCH", 1)
    batches = iter([storing.store_same])

    def store_one(*arguments):
        if (store := next(batches, None)) is None:
            raise KeyboardInterrupt
        return store(*arguments)

    with monkeypatch.context() as interrupting:
        interrupting.setattr(broadcasting, "store_same", store_one)
        with pytest.raises(CommandError, match=r"Stopped: 1 of 2 users\. The rest: .*--key noon") as stopped:
            run("notify", "--all", "Noon", "--key", "noon")
    assert stopped.value.returncode == 130
    run("notify", "--all", "Noon", "--key", "noon")
    assert Notification.objects.count() == 2
