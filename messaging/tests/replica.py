"""A client's copy of an inbox, kept by the rules of docs/protocol.md, and the truth to compare it with."""

from django.db.models import Q

from messaging import inboxes
from messaging.models import Inbox, Notification
from messaging.sequencing import ROWS_PER_REVISION


class Replica:
    def __init__(self, user_id, revision=0, unread_count=0, rows=None):
        self.user_id = user_id
        self.revision = revision
        self.unread_count = unread_count
        self.rows = dict(rows or {})  # id: is it read?

    def copy(self):
        return Replica(self.user_id, self.revision, self.unread_count, self.rows)

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        return f"<revision {self.revision}, {self.unread_count} unread, {self.rows}>"

    def apply(self, revision):
        """Apply a live frame: it must be the next one, and of at most 100 rows."""
        assert revision.user_id == self.user_id
        assert revision.revision == self.revision + 1
        lists = (revision.added, revision.read, revision.unread, revision.removed)
        assert 1 <= sum(map(len, lists)) <= ROWS_PER_REVISION
        self.rows.update({row.id: row.is_read for row in revision.added})
        self.rows.update({pk: True for pk in revision.read if pk in self.rows})
        self.rows.update({pk: False for pk in revision.unread if pk in self.rows})
        for pk in revision.removed:
            self.rows.pop(pk, None)
        self.revision, self.unread_count = revision.revision, revision.unread_count

    def catch_up(self):
        """Apply what was missed, as a replay does. Returns the ids that were told."""
        missed = inboxes.missed({self.user_id: self.revision})[self.user_id]
        assert not missed.too_many
        last = self.revision
        for row in missed.rows:
            assert row.revision >= last, "a replay goes in rising revisions"
            last = row.revision
            if row.notification is None:
                self.rows.pop(row.id, None)
            else:
                self.rows[row.id] = row.notification.is_read
        assert last <= missed.revision
        self.revision, self.unread_count = missed.revision, missed.unread_count
        return [row.id for row in missed.rows]


def fresh_read(user_id):
    """What a page that starts now reads: the inbox and the living rows."""
    inbox = Inbox.objects.get(user_id=user_id)
    rows = Notification.objects.filter(user_id=user_id).values_list("id", "is_read")
    return Replica(user_id, inbox.revision, inbox.unread_count, dict(rows))


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
