"""An inbox replica that is fed by the domain itself, without a socket; and the database to compare it with."""

from itertools import groupby
from operator import attrgetter

from django.db.models import Q

from messaging import inboxes
from messaging.models import Inbox, Notification
from tests.inbox_replica import InboxReplica


def _items(marks):
    return [{"id": pk, "is_read": is_read} for pk, is_read in marks.items()]


class DomainReplica(InboxReplica):
    """Turns what the domain answers into the frames that a client of this user would get."""

    def __init__(self, user_id, revision=0, unread_count=0, marks=None, **options):
        """`marks`: each notification's id, and whether it is read."""
        super().__init__(revision, unread_count, _items(marks or {}), **options)
        self.user_id = user_id
        self._open(revision, unread_count)
        self._sync(revision, unread_count)

    def copy(self):
        return DomainReplica(
            self.user_id, self.revision, self.unread_count, self.read_marks, complete=self.complete
        )

    def apply_revision(self, revision):
        """Apply a revision as a live frame."""
        assert revision.user_id == self.user_id
        self.apply(
            {
                "type": "inbox",
                "replayed": False,
                "revision": revision.revision,
                "unread_count": revision.unread_count,
                "read": revision.read,
                "unread": revision.unread,
                "removed": revision.removed,
                "added": _items({row.id: row.is_read for row in revision.added}),
            }
        )

    def catch_up(self):
        """Connect again, and apply what was missed as a replay. Returns the ids that it carried."""
        missed = inboxes.missed({self.user_id: self.revision})[self.user_id]
        assert not missed.too_many
        self._open(missed.revision, missed.unread_count)
        # One frame for each run of equal revisions: rows that don't come in their order make a replay that falls.
        for revision, group in groupby(missed.rows, key=attrgetter("revision")):
            rows = list(group)
            added = {row.id: row.notification.is_read for row in rows if row.notification is not None}
            self.apply(
                {
                    "type": "inbox",
                    "replayed": True,
                    "revision": revision,
                    "unread_count": missed.unread_count,
                    "added": _items(added),
                    "removed": [row.id for row in rows if row.notification is None],
                }
            )
        self._sync(missed.revision, missed.unread_count)
        return [row.id for row in missed.rows]

    def _open(self, revision, unread_count):
        self.begin_connection(self.revision)
        hello = {"type": "hello", "epoch": None, "resumed": True}
        self.apply({**hello, "revision": revision, "unread_count": unread_count})
        self.apply({"type": "presence_state", "online": []})

    def _sync(self, revision, unread_count):
        self.apply({"type": "synced", "revision": revision, "unread_count": unread_count})


def fresh_read(user_id):
    """What a page that starts now reads: the inbox and the living rows."""
    inbox = Inbox.objects.get(user_id=user_id)
    rows = Notification.objects.filter(user_id=user_id).values_list("id", "is_read")
    return DomainReplica(user_id, inbox.revision, inbox.unread_count, dict(rows))


def check_counts(user_id):
    """Check that an inbox with nothing pending agrees with its rows."""
    everything = Notification.everything.filter(user_id=user_id)
    inbox = Inbox.objects.get(user_id=user_id)
    unread = Q(is_read=False, removed_at=None)
    assert not everything.exclude(pending_since=None).exists()
    assert not everything.filter(revision=None).exists()
    assert inbox.unread_count == everything.filter(unread).count() == everything.filter(counted=True).count()
    assert not everything.filter(counted=True).exclude(unread).exists()
    assert not everything.filter(revision__gt=inbox.revision).exists()
