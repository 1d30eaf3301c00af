"""The same notification for very many: in batches, each committed, and started again without telling a user twice."""

import warnings
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from messaging import broadcasting
from messaging.broadcasting import Progress, broadcast
from messaging.exceptions import InvalidNotification, UnknownNotificationType
from messaging.models import Block, Inbox, Notification
from messaging.notifications import assign_revisions, notify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(broadcasting, "USERS_PER_BATCH", 2)


@pytest.fixture
def crowd(db):
    User.objects.bulk_create(User(username=f"user {number}") for number in range(5))
    return User.objects.filter(username__startswith="user ").order_by("-username")


def heard(title="Noon"):
    return sorted(Notification.objects.filter(title=title).values_list("user_id", flat=True))


def test_it_goes_on_batch_by_batch_and_says_how_far_it_is(crowd):
    seen = [
        (progress, len(heard())) for progress in broadcast(crowd, "announcement", "Noon", "See you", key="7")
    ]
    assert seen == [((2, 5), 2), ((4, 5), 4), ((5, 5), 5)]
    assert heard() == sorted(crowd.values_list("pk", flat=True))
    row = Notification.objects.first()
    assert (row.description, row.level, row.is_read, row.dedupe_key) == ("See you", "info", False, "7")


@pytest.mark.usefixtures("numbered")
def test_each_batch_is_numbered_and_counted_when_it_is_reported(crowd):
    # One has an inbox and can be numbered at once; the others' are made first.
    Inbox.objects.get_or_create(user=crowd[0])
    for done, _ in broadcast(crowd, "announcement", "Noon", key="7"):
        assert Notification.objects.filter(revision=1, counted=True, pending_since=None).count() == done
        assert Inbox.objects.filter(revision=1, unread_count=1).count() == done


@pytest.mark.usefixtures("numbered")
def test_one_of_a_type_that_only_informs_leaves_the_badge_as_it_is(crowd):
    broadcast(crowd, "message_read", "Noon", key="7").run()
    broadcast(crowd, "message_read", "Again", key="8").run()
    assert Notification.objects.filter(is_read=True, counted=False).count() == 10
    assert set(Inbox.objects.filter(user__in=crowd).values_list("revision", "unread_count")) == {(2, 0)}


def test_it_can_be_started_again_after_it_was_interrupted(crowd):
    interrupted = broadcast(crowd, "announcement", "Noon", key="7")
    assert next(interrupted) == Progress(2, 5)
    assert broadcast(crowd, "announcement", "Noon", key="7").run() == Progress(5, 5)
    assert broadcast(list(crowd), "announcement", "Noon", key="7").run() == Progress(5, 5)
    assert heard() == sorted(crowd.values_list("pk", flat=True))
    broadcast(crowd, "announcement", "Noon", key="8").run()
    assert len(heard()) == 10


@pytest.mark.parametrize(
    ("given", "total"),
    [
        (lambda crowd: crowd, 5),
        (list, 5),
        (lambda crowd: (user.pk for user in [*crowd, *crowd]), None),
        (lambda crowd: crowd.values_list("pk", flat=True), 5),
        (lambda crowd: crowd.order_by("username")[:3], 3),
        (lambda crowd: crowd.filter(username="user 1") | crowd.filter(username="user 2"), 2),
        (lambda crowd: crowd.order_by().filter(username="user 1").union(crowd.order_by().filter(pk=0)), 1),
        (lambda crowd: crowd.none(), 0),
        (lambda crowd: User.objects.filter(pk__in=crowd.values("pk")).only("username"), 5),
    ],
)
def test_users_are_given_in_any_way(crowd, given, total):
    expected = {user if isinstance(user, int) else user.pk for user in given(crowd)}
    sending = broadcast(given(crowd), "announcement", "Noon", key="7")
    assert sending.run().total == total
    assert heard() == sorted(expected)


def test_one_who_is_found_several_times_counts_once(crowd):
    groups = [Group.objects.create(name=name) for name in "abc"]
    for user in crowd:
        user.groups.set(groups)
    found = User.objects.filter(groups__name__in="abc")
    assert found.count() == 15
    assert broadcast(found, "announcement", "Noon", key="7").run() == Progress(5, 5)
    assert len(heard()) == 5


def test_memory_and_queries_do_not_grow_with_the_users(crowd):
    with CaptureQueriesContext(connection) as queries:
        broadcast(crowd, "announcement", "Noon", key="7").run()
    table = f'"{User._meta.db_table}"'
    users = [one["sql"] for one in queries if "LIMIT 2" in one["sql"] and table in one["sql"]]
    assert len(users) == 4
    # No columns but the key: no instance is made.
    assert not any("password" in sql for sql in users)


def test_who_has_blocked_the_actor_or_is_gone_is_left_out_as_by_notify_many(crowd, ada):
    blocker, gone, *others = crowd
    Block.objects.create(blocker=blocker, blocked=ada)
    given = [user.pk for user in crowd]
    gone.delete()
    broadcast(given, "message_read", "Noon", key="7", actor=ada).run()
    assert heard() == sorted(user.pk for user in others)
    # Announcements come from the installation.
    broadcast(given, "announcement", "Later", key="8", actor=ada).run()
    assert heard("Later") == sorted([blocker.pk, *(user.pk for user in others)])
    assert {row.actor_id for row in Notification.objects.all()} == {ada.pk}


def test_nothing_is_sent_before_everything_is_valid(crowd):
    cases: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"title": ""}, InvalidNotification),
        ({"notification_type": "zzz"}, UnknownNotificationType),
        ({"key": None}, InvalidNotification),
        ({"key": "x" * 201}, InvalidNotification),
        ({"users": crowd[0]}, InvalidNotification),
        ({"users": User.objects}, InvalidNotification),
        ({"users": None}, InvalidNotification),
    ]
    for wrong, error in cases:
        given: dict[str, Any] = {
            "users": crowd,
            "notification_type": "announcement",
            "title": "Noon",
            "key": "7",
        }
        with pytest.raises(error):
            broadcast(**given | wrong)
    # Of an iterable, each is looked at when its turn comes.
    with pytest.raises(InvalidNotification, match="The user must be"):
        broadcast(["ada"], "announcement", "Noon", key="7").run()
    Group.objects.create(name="editors")
    groups: Any = Group.objects.all()
    with pytest.raises(InvalidNotification, match="The user must be"):
        broadcast(groups, "announcement", "Noon", key="7").run()
    assert heard() == []


def test_inside_a_transaction_it_says_what_to_do_instead(crowd):
    sending = broadcast(crowd, "announcement", "Noon", key="7")
    with transaction.atomic():
        with pytest.raises(TransactionManagementError, match=r"transaction.on_commit.*notify_many"):
            broadcast(crowd, "announcement", "Noon", key="7")
        with pytest.raises(TransactionManagementError):
            next(sending)
    connection.set_autocommit(False)
    try:
        with pytest.raises(TransactionManagementError):
            broadcast(crowd, "announcement", "Noon", key="7")
    finally:
        connection.set_autocommit(True)
    assert heard() == []
    with transaction.atomic():
        transaction.on_commit(lambda: broadcast(crowd, "announcement", "Noon", key="7").run())
    assert len(heard()) == 5


@pytest.mark.django_db(transaction=False)
def test_in_a_test_case_it_works(crowd):
    assert broadcast(crowd, "announcement", "Noon", key="7").run() == Progress(5, 5)
    assert len(heard()) == 5


def test_one_that_nobody_iterates_over_is_noticed(crowd):
    with pytest.warns(RuntimeWarning, match="sent nothing"):
        broadcast(crowd, "announcement", "Noon", key="7")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(broadcast(crowd, "announcement", "Noon", key="7"))


def test_another_notification_with_the_key_counts_as_told(crowd):
    notify(crowd[0], "announcement", "Noon", dedupe_key="7")
    broadcast(crowd, "announcement", "Noon", key="7").run()
    assert len(heard()) == 5


def test_what_was_committed_when_the_process_ended_is_told_once(crowd, monkeypatch):
    def end(user_ids):
        raise SystemExit

    with monkeypatch.context() as ending:
        ending.setattr(broadcasting, "assign_pending", end)
        with pytest.raises(SystemExit):
            broadcast(crowd, "announcement", "Noon", key="7").run()
    assert len(heard()) == 2
    broadcast(crowd, "announcement", "Noon", key="7").run()
    assert heard() == sorted(crowd.values_list("pk", flat=True))
    # The first ones', too: the sweep would number them, as a read of the inbox does.
    assign_revisions([user.pk for user in crowd])
    assert not Notification.objects.exclude(revision=1).exists()
