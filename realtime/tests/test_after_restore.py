"""manage.py after_restore, the last step of a restore. docs/backup.md as a whole: tests/live/test_backup_page.py."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder

from messaging import notifications
from messaging.models import Inbox, Notification
from messaging.sequencing import assign_revisions
from realtime.models import Timeline

pytestmark = pytest.mark.django_db(transaction=True)


def after_restore():
    out = io.StringIO()
    call_command("after_restore", stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def inbox(ada):
    notifications.notify(ada, "announcement", "Hello")
    assign_revisions([ada.pk])
    return Inbox.objects.get(user=ada)


def test_every_inbox_gets_a_new_epoch_and_the_database_a_new_timeline(inbox):
    before = Timeline.objects.create()
    printed = after_restore()
    assert printed.startswith("1 inboxes got a new epoch")
    assert "all consistent" in printed
    assert printed.endswith("Restored: the servers may be started.\n")
    assert Inbox.objects.get(pk=inbox.pk).epoch != inbox.epoch
    assert Timeline.objects.get().name != before.name


def test_what_the_restore_left_wrong_is_repaired(inbox):
    Inbox.objects.update(unread_count=7)
    Notification.everything.update(counted=False)
    printed = after_restore()
    assert "recounted" in printed or "got new revisions" in printed
    assert Inbox.objects.get(pk=inbox.pk).unread_count == 1


def test_it_may_be_repeated(inbox):
    after_restore()
    first = Inbox.objects.get(pk=inbox.pk).epoch
    after_restore()
    assert Inbox.objects.get(pk=inbox.pk).epoch != first


def test_a_backup_of_an_older_version_is_migrated_first(inbox):
    applied = MigrationRecorder.Migration.objects.filter(app="realtime", name="0003_timeline")
    assert applied.count() == 1
    kept = applied.get()
    applied.delete()
    try:
        with pytest.raises(CommandError, match=r"manage\.py migrate"):
            after_restore()
    finally:
        kept.save(force_insert=True)
    assert Inbox.objects.get(pk=inbox.pk).epoch == inbox.epoch
