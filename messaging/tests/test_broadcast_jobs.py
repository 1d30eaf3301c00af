"""Broadcasts in the background: each user once, also when the process that sends is killed; cancelled, and resumed."""

import threading

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.db.models.functions import Now

from messaging import broadcast_jobs, broadcasting
from messaging.broadcast_jobs import LEASE
from messaging.models import BroadcastJob, Notification

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = {
    "notification_type": "announcement",
    "title": "Noon",
    "description": "",
    "level": None,
    "url": "/noon/",
}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(broadcasting, "USERS_PER_BATCH", 2)


@pytest.fixture
def crowd(db):
    return User.objects.bulk_create(User(username=f"user {number}") for number in range(5))


@pytest.fixture
def job(crowd):
    return broadcast_jobs.create("admin:k1", None, CONTENT, receivers="all active users")


def heard():
    return sorted(Notification.objects.filter(title="Noon").values_list("user_id", flat=True))


def present(job):
    job.refresh_from_db()
    return job.state, job.done, job.total


@pytest.fixture
def interrupted(monkeypatch):
    """interrupted(after, error): what sends a batch raises this after so many."""
    send_batch = broadcasting.send_batch

    def interrupt(after, error):
        left = [after]

        def send(*args):
            if not left[0]:
                raise error
            left[0] -= 1
            send_batch(*args)

        monkeypatch.setattr(broadcasting, "send_batch", send)

    yield interrupt
    monkeypatch.setattr(broadcasting, "send_batch", send_batch)


def test_all_are_notified_once_and_it_says_so(job, crowd):
    assert present(job) == ("waiting", 0, 5)
    assert broadcast_jobs.run_due() == 1
    assert present(job) == ("sent", 5, 5)
    assert job.finished_at is not None
    assert heard() == [user.pk for user in crowd]
    row = Notification.objects.filter(title="Noon").first()
    assert (row.dedupe_key, row.url, row.level) == ("admin:k1", "/noon/", "info")
    assert broadcast_jobs.run_due() == 0


def test_the_same_key_is_one_job(job):
    assert broadcast_jobs.create("admin:k1", None, CONTENT, receivers="all active users") is None


def test_a_group(crowd):
    group = Group.objects.create(name="Editors")
    group.user_set.add(*crowd[:3])
    User.objects.filter(pk=crowd[0].pk).update(is_active=False)
    job = broadcast_jobs.create("k", group.pk, CONTENT, receivers="the group")
    assert job.total == 2
    broadcast_jobs.run_due()
    assert heard() == [crowd[1].pk, crowd[2].pk]


class Killed(BaseException):
    """What no handler sees: as if the process had ended here."""


def test_after_a_kill_another_process_goes_on_and_nobody_is_notified_twice(job, crowd, interrupted):
    interrupted(1, Killed())
    with pytest.raises(Killed):
        broadcast_jobs.run_due()
    assert present(job) == ("sending", 2, 5)
    assert len(heard()) == 2
    # Not before its lease has run out.
    interrupted(9, None)
    assert broadcast_jobs.run_due() == 0
    BroadcastJob.objects.update(leased_until=Now() - LEASE)
    assert broadcast_jobs.run_due() == 1
    assert present(job) == ("sent", 5, 5)
    assert heard() == [user.pk for user in crowd]


def test_a_database_that_goes_away_is_no_failure(job, interrupted, caplog):
    interrupted(1, OperationalError("server closed the connection"))
    assert broadcast_jobs.run_due() == 0
    assert present(job) == ("sending", 2, 5)
    assert "broadcast interrupted" in caplog.text


def test_a_process_that_ends_leaves_the_rest_to_the_next_at_once(job, crowd):
    stop = threading.Event()
    stop.set()
    assert broadcast_jobs.run_due(stop) == 0
    assert present(job) == ("sending", 2, 5)
    assert broadcast_jobs.due().exists()
    assert broadcast_jobs.run_due() == 1
    assert heard() == [user.pk for user in crowd]


def test_a_cancelled_one_ends_after_its_batch_and_can_go_on(job, crowd, monkeypatch):
    send_batch = broadcasting.send_batch

    def send_and_cancel(*args):
        send_batch(*args)
        assert broadcast_jobs.cancel(job.pk)

    monkeypatch.setattr(broadcasting, "send_batch", send_and_cancel)
    broadcast_jobs.run_due()
    assert present(job)[0] == "cancelled"
    assert len(heard()) == 2
    assert not broadcast_jobs.cancel(job.pk)
    monkeypatch.setattr(broadcasting, "send_batch", send_batch)
    assert broadcast_jobs.resume(job.pk)
    assert not broadcast_jobs.resume(job.pk)
    broadcast_jobs.run_due()
    assert present(job) == ("sent", 5, 5)
    assert heard() == [user.pk for user in crowd]


def test_a_failure_is_kept_with_its_reason_and_does_not_hold_up_the_next(crowd, caplog):
    wrong = broadcast_jobs.create("k1", None, CONTENT | {"notification_type": "gone"}, receivers="all")
    right = broadcast_jobs.create("k2", None, CONTENT, receivers="all")
    assert broadcast_jobs.run_due() == 2
    assert present(wrong)[0] == "failed"
    assert "gone" in wrong.error
    assert present(right)[0] == "sent"


def test_one_that_another_thread_has_taken_over_stores_nothing_more(job, monkeypatch):
    send_batch = broadcasting.send_batch

    def send_and_lose(*args):
        send_batch(*args)
        BroadcastJob.objects.update(worker="another", done=4)

    monkeypatch.setattr(broadcasting, "send_batch", send_and_lose)
    assert broadcast_jobs.run_due() == 0
    assert present(job) == ("sending", 4, 5)


def test_old_ones_are_forgotten_with_the_notifications(job):
    broadcast_jobs.run_due()
    assert broadcast_jobs.forget(LEASE) == 0
    BroadcastJob.objects.update(finished_at=Now() - 2 * LEASE)
    assert broadcast_jobs.forget(LEASE) == 1


def test_a_thread_sends_what_is_due_and_ends(job, crowd):
    broadcast_jobs.start_due()
    broadcast_jobs._worker._thread.join(20)
    assert present(job) == ("sent", 5, 5)
    assert heard() == [user.pk for user in crowd]
