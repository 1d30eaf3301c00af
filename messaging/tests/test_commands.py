import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from messaging import notifications
from messaging.models import Inbox, Notification

ROOT = Path(__file__).parents[2]


def run(command, *arguments):
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
class TestCheckInboxes:
    @pytest.fixture
    def row(self, ada):
        row = notifications.notify(ada, "announcement", "One")
        notifications.notify(ada, "announcement", "Two")
        notifications.assign_revisions([ada.pk])
        return Notification.everything.filter(pk=row.pk)

    def test_finds_nothing_where_nothing_is_wrong(self, row, ada, grace):
        notifications.mark_read(ada, [row.get().pk])
        notifications.remove(ada, [row.get().pk])
        assert "2 inboxes checked, all consistent" in run("check_inboxes")
        notifications.assign_revisions([ada.pk])
        assert "all consistent" in run("check_inboxes")

    def found(self):
        out = io.StringIO()
        with pytest.raises(CommandError) as failed:
            call_command("check_inboxes", stderr=out, stdout=out)
        assert failed.value.returncode == 1
        return out.getvalue()

    def test_finds_a_wrong_count(self, row):
        Inbox.objects.update(unread_count=F("unread_count") + 1)
        assert "unread_count 3, counted rows 2" in self.found()

    def test_finds_a_revision_beyond_the_inboxs(self, row):
        self.settle(row, revision=9)
        assert "revision 1, highest of a row 9" in self.found()

    def test_finds_a_floor_above_the_revision(self, row):
        Inbox.objects.update(floor=5)
        assert "floor 5" in self.found()

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"revision": None}, "has no revision but isn't pending"),
            ({"counted": False}, "is unread but not counted"),
            ({"is_read": True}, "is counted but not unread"),
            ({"removed_at": timezone.now()}, "is counted but not unread"),
        ],
    )
    def test_finds_rows_that_contradict_themselves(self, row, changes, what):
        self.settle(row, **changes)
        assert what in self.found()

    def test_finds_numbered_rows_without_an_inbox(self, row):
        Inbox.objects.all().delete()
        assert "no inbox" in self.found()

    def test_finds_changes_that_never_got_a_revision(self, row):
        self.settle(row, pending_since=Now() - timedelta(seconds=20))
        assert "has been pending since" in self.found()
        assert "all consistent" in run("check_inboxes", "--pending-seconds", "60")

    @pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "1e300", "soon"])
    def test_a_time_that_makes_no_sense_is_refused(self, seconds):
        with pytest.raises(CommandError, match="--pending-seconds"):
            run("check_inboxes", f"--pending-seconds={seconds}")

    def settle(self, rows, **changes):
        """Change rows as no writer would, bypassing the QuerySet and then the triggers."""
        QuerySet.update(rows, **changes)
        if "pending_since" not in changes:
            QuerySet.update(rows, pending_since=None)
