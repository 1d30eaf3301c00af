"""In a large table every statement finds its rows by an index: the query plans of what the code sends."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings

from benchmarks.plans import Statement, statements
from benchmarks.rows import RARE, analyze, fill
from messaging import inboxes, notifications, pruning
from messaging.models import Notification

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "messaging_notification"
PKEY = "messaging_notification_pkey"
ASSIGNING = {"messaging_pending", "messaging_pending_since", PKEY}
HALF_A_YEAR = timedelta(days=180)


def sent(run) -> list[Statement]:
    found = statements(run, table=TABLE)
    assert found, "nothing was sent about notifications"
    return found


def by(run) -> set[str]:
    """The indexes by which something finds notifications. Fails if it reads the table from end to end."""
    indexes = set()
    for statement in sent(run):
        for scan in statement.scans:
            assert scan.how != "Seq Scan", f"{scan}: {statement.sql}"
            indexes.add(scan.index)
    return indexes


@pytest.fixture(autouse=True)
def on_this_thread_alone(settings: Settings) -> None:
    """The relay's thread would send some of the statements."""
    settings.REALTIME_RELAY = False


@pytest.fixture
def heavy(db) -> User:
    """A user with 2,000 of 20,000 notifications."""
    return User.objects.get(pk=fill(20_000, users=200))


def test_reading_marking_and_pruning_find_their_rows_by_an_index(heavy: User, monkeypatch) -> None:
    client = Client()
    client.force_login(heavy)
    mine = Notification.objects.filter(user=heavy).order_by("-id")

    def page(query: str) -> set[str]:
        def call() -> None:
            answer = client.get(f"/api/v1/notifications?limit=20{query}")
            assert answer.status_code == 200
            assert len(answer.json()["items"]) > 0

        return by(call)

    def assign() -> set[str]:
        return by(lambda: notifications.assign_revisions([heavy.pk]))

    assert "messaging_living" in page("")
    assert page(f"&before={mine[1_000].pk}") & {"messaging_living", PKEY}
    assert "messaging_unread" in page("&unread=true")
    assert "messaging_living" in page("&notification_type=new_message")
    page(f"&notification_type={RARE}")
    assert by(lambda: inboxes.state(heavy.pk)) <= ASSIGNING
    behind = inboxes.state(heavy.pk).revision - 1
    assert "messaging_revision" in by(lambda: inboxes.missed({heavy.pk: behind}))

    some = [row.pk for row in mine.filter(is_read=False)[:20]]
    for change in (notifications.mark_read, notifications.mark_unread, notifications.remove):
        by(lambda change=change: change(heavy, some))
        assert by(lambda: inboxes.pending_users(older_than=timedelta(0))) <= ASSIGNING
        assert assign() <= ASSIGNING
    assert "messaging_unread" in by(lambda: notifications.mark_read(heavy))
    assign()

    # Batches as small beside this table as real ones are beside a large one.
    monkeypatch.setattr(pruning, "ROWS_PER_TRANSACTION", 20)
    for walk, index in (
        (lambda: pruning.remove_outdated(HALF_A_YEAR), "messaging_age"),
        (pruning.delete_expired_tombstones, "messaging_tombstone"),
    ):
        steps = walk()
        for _ in range(2):
            assert index in by(lambda steps=steps: next(steps))
        QuerySet.update(Notification.everything.exclude(removed_at=None), removed_at=Now() - HALF_A_YEAR)
        analyze()


def test_reading_from_end_to_end_would_be_seen(db) -> None:
    fill(1_000, users=10)
    with pytest.raises(AssertionError, match="Seq Scan messaging_notification"):
        by(lambda: list(Notification.objects.filter(title="x")))
