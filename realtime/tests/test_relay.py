import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit, urlunsplit

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from messaging import sequencing
from messaging.models import Inbox, Message, Notification
from messaging.notifications import notify, notify_many
from realtime.outbound import message_queue, receivers
from realtime.outbound import relay as relay_module
from realtime.outbound.envelopes import AnnouncementEnvelope, GroupMessage, PresenceEnvelope
from realtime.outbound.message_queue import size_of
from realtime.outbound.relay import Relay, relay
from realtime.tests import layers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unnumbered")]


def test_what_is_committed_gets_a_revision_and_is_published(published, ada):
    notify(ada, "announcement", "Hello")
    assert receivers.flush(20)
    [(group, message)] = published.messages
    assert group == f"user.{ada.pk}"
    frame = message.pop("frame")
    assert abs(time.time() - message.pop("committed")) < 60
    assert message == {"type": "doorbell.inbox", "v": 1, "user": ada.pk, "revision": 1, "unread_count": 1}
    assert frame.startswith('{"type":"inbox","revision":1,"unread_count":1,"replayed":false,"added":[{"id":')


def test_a_rolled_back_message_pushes_nothing(published, ada, grace):
    with pytest.raises(InterruptedError), transaction.atomic():
        Message.objects.create(sender=grace, receiver=ada, content="Never")
        raise InterruptedError
    assert receivers.flush(20)
    assert published.messages == []
    assert Inbox.objects.get(user=ada).revision == 0


def test_nothing_is_sent_before_the_commit(published, ada):
    with transaction.atomic():
        notify(ada, "announcement", "Hello")
        assert receivers.flush(20)
        assert published.messages == []
    assert receivers.flush(20)
    assert published.revisions(ada) == [1]


def test_revisions_leave_in_order(published, ada, grace):
    for number in range(50):
        notify(ada, "announcement", f"Number {number}")
        notify(grace, "announcement", f"Number {number}")
    assert receivers.flush(20)
    for user in (ada, grace):
        assert published.revisions(user) == list(range(1, Inbox.objects.get(user=user).revision + 1))
        assert Notification.objects.filter(user=user, revision=None).count() == 0


def test_what_gathers_while_the_layer_takes_its_time_leaves_in_one_batch(
    published, ada, grace, linus, margaret
):
    published.open.clear()
    notify(ada, "announcement", "First")
    assert published.asked.wait(20)
    people = [ada, grace, linus, margaret]
    for _ in range(5):
        notify_many(people, "announcement", "More")
    published.open.set()
    assert receivers.flush(20)
    last = published.batches[-1]
    assert {group for group, _ in last} == {f"user.{user.pk}" for user in people}
    assert len(last) == 4, "five notifications of a user gathered to one revision"


@pytest.fixture
def clock(monkeypatch):
    """The relay's clock. `sleep` returns at once, and notes what it was asked for."""
    made = SimpleNamespace(now=0.0, slept=[])
    fake = SimpleNamespace(sleep=made.slept.append, monotonic=time.monotonic, perf_counter=lambda: made.now)
    monkeypatch.setattr(relay_module, "time", fake)
    return made


def batch_of(seconds, begin, published, clock):
    """Have the relay publish what `begin` commits, in a batch that takes so long. Returns its pause before it."""
    clock.slept.clear()
    published.asked.clear()
    published.open.clear()
    begin()
    assert published.asked.wait(20)
    clock.now += seconds
    published.open.set()
    assert receivers.flush(20)
    return sum(clock.slept)


@pytest.mark.parametrize("seconds", [0.001, 1])
def test_a_batch_is_followed_by_a_pause_three_times_as_long(published, clock, ada, seconds):
    """Otherwise the relay competes for the GIL with each save of a busy thread."""
    longest = relay_module.MAX_PAUSE_SECONDS[connection.vendor]

    def notify_ada():
        notify(ada, "announcement", "Hello")

    # It takes the pause after what a test before did.
    batch_of(0, notify_ada, published, clock)
    batch_of(seconds, notify_ada, published, clock)
    pause = batch_of(seconds, notify_ada, published, clock)
    assert pause == pytest.approx(min(3 * seconds, longest))
    clock.now += longest
    assert batch_of(0, notify_ada, published, clock) == 0


def test_a_lone_message_is_followed_by_no_pause_and_several_are(published, clock):
    """A notification with its revision is only published: the next one would wait for a batch that was held up."""

    def publish(count):
        relay.publish([GroupMessage(f"user.{number}", {"type": "test"}) for number in range(count)])

    batch_of(0, lambda: publish(1), published, clock)
    batch_of(1, lambda: publish(1), published, clock)
    assert batch_of(1, lambda: publish(2), published, clock) == 0
    assert batch_of(1, lambda: publish(1), published, clock) > 0


def test_a_save_succeeds_while_the_layer_raises_and_all_is_kept_for_the_sweep(published, ada, grace):
    published.error = ConnectionError("the layer is away")
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    assert receivers.flush(20)
    assert published.messages == []
    row = Notification.objects.get(user=ada, message=message)
    assert row.revision == 1
    published.error = None
    notify(ada, "announcement", "Later")
    assert receivers.flush(20)
    assert published.revisions(ada) == [2]


def test_what_an_absent_redis_did_not_get_is_counted_and_its_last_is_sent_when_it_is_back(
    published, monkeypatch, caplog
):
    monkeypatch.setattr(relay_module, "IDLE_SECONDS", 0.05)
    published.unsent = True
    own = Relay()
    for number in range(5):
        own.publish(
            [
                GroupMessage("user.1", {"type": "inbox", "n": number}),
                GroupMessage("user.2", {"type": "inbox", "n": number}),
            ]
        )
        own.publish([GroupMessage("user.2", {"type": "recheck", "n": number})])
        assert own.flush(20)
    assert published.batches == []
    assert own.dropped == 15
    published.unsent = False
    # Nothing new has to come for that.
    while not published.batches:
        time.sleep(0.01)
    assert published.messages == [
        GroupMessage("user.1", {"type": "inbox", "n": 4}),
        GroupMessage("user.2", {"type": "inbox", "n": 4}),
        GroupMessage("user.2", {"type": "recheck", "n": 4}),
    ]
    own.publish([GroupMessage("user.1", {"type": "inbox", "n": 5})])
    assert own.flush(20)
    assert len(published.batches) == 2
    assert own.dropped == 15
    # One line for the outage, and one for its end.
    assert [record.message.split(":")[0].split(";")[0] for record in caplog.records] == [
        "channel layer unavailable",
        "channel layer available again",
    ]
    # What people are notified of isn't logged, and the reason is. (The first batch may have two of the three.)
    assert caplog.messages[0].endswith(""" messages unsent, ConnectionError('away')")""")


def test_of_late_announcements_the_last_to_the_same_users_is_kept(published, monkeypatch):
    """Otherwise those of a long outage would leave no room for anything else."""
    monkeypatch.setattr(relay_module, "IDLE_SECONDS", 0.05)
    published.unsent = True
    own = Relay()
    for revision in range(3):
        for users in [1, 2], [1, 3]:
            numbers = [[revision, 1, 10 * revision + user] for user in users]
            own.publish([AnnouncementEnvelope(users, numbers, ["{", ",", ",", "}"]).encode()])
        own.publish([PresenceEnvelope([revision]).encode()])
        assert own.flush(20)
    published.unsent = False
    while not published.batches:
        time.sleep(0.01)
    kept = [message for _, message in published.messages]
    assert [message["users"] for message in kept] == [[1, 2], [1, 3], [2]]
    assert [message["numbers"][0][0] for message in kept[:2]] == [2, 2]


def test_of_what_is_late_no_more_is_kept_than_a_bound(published, monkeypatch):
    monkeypatch.setattr(relay_module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(
        relay_module, "MAX_LATE_BYTES", 10 * size_of(GroupMessage("user.1", {"type": "inbox"}))
    )
    published.unsent = True
    own = Relay()
    own.publish([GroupMessage(f"user.{number}", {"type": "inbox"}) for number in range(25)])
    assert own.flush(20)
    published.unsent = False
    while not published.batches:
        time.sleep(0.01)
    assert [group for group, _ in published.messages] == [f"user.{number}" for number in range(10)]
    assert own.dropped == 25


def test_a_save_does_not_wait_for_a_layer_that_hangs(published, ada, grace):
    published.open.clear()
    for _ in range(3):
        Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    assert not published.open.is_set()
    assert published.messages == []
    assert Notification.objects.filter(user=ada).count() == 3


def test_a_save_succeeds_with_a_layer_that_raises(settings, ada, grace):
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.FailingLayer)
    Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    assert receivers.flush(20)
    assert Inbox.objects.get(user=ada).revision == 1


def test_an_assignment_that_fails_once_is_tried_again(published, ada, monkeypatch):
    assign, failures = sequencing.assign_step, [OperationalError("the database went away")]

    def fail_once(user_ids, **options):
        if failures:
            raise failures.pop()
        return assign(user_ids, **options)

    monkeypatch.setattr(sequencing, "assign_step", fail_once)
    notify(ada, "announcement", "Hello")
    assert receivers.flush(20)
    assert published.revisions(ada) == [1]


def test_an_assignment_that_keeps_failing_ends_neither_the_save_nor_the_relay(published, ada, monkeypatch):
    assign = sequencing.assign_step

    def fail(user_ids, **options):
        raise OperationalError("the database is away")

    monkeypatch.setattr(sequencing, "assign_step", fail)
    notify(ada, "announcement", "Hello")
    assert receivers.flush(20)
    assert published.messages == []
    monkeypatch.setattr(sequencing, "assign_step", assign)
    notify(ada, "announcement", "Again")
    assert receivers.flush(20)
    assert published.revisions(ada) == [1]
    assert Notification.objects.filter(user=ada, revision=1).count() == 2


def test_switched_off_nothing_is_assigned_or_published(published, ada, settings):
    settings.REALTIME_RELAY = False
    notify(ada, "announcement", "Hello")
    receivers.recheck(ada.pk)
    assert receivers.flush(20)
    assert published.messages == []
    assert Inbox.objects.get(user=ada).revision == 0


def test_switched_off_a_socket_over_the_limit_is_closed_nevertheless(published, ada, settings):
    """What no sweep would bring: protocol.md's 4502."""
    settings.REALTIME_RELAY = False
    receivers.close_connection(ada.pk, "a connection", 4502)
    assert receivers.flush(20)
    assert [message["code"] for _, message in published.messages] == [4502]


def test_presence_of_users_whose_ids_are_texts_is_published_as_numbers(published):
    """`Message(sender_id="1")` is Django's own leniency."""
    receivers.relay_presence(None, users=["1", 2])
    assert receivers.flush(20)
    assert [message["users"] for _, message in published.messages] == [[1, 2]]


def test_too_much_that_waits_is_dropped_from_its_beginning(published, monkeypatch):
    monkeypatch.setattr(message_queue, "MAX_BYTES", 10 * size_of(GroupMessage("group", {})))
    published.open.clear()
    own = Relay()
    own.publish([GroupMessage("group", {"number": -1})])
    while own._messages:
        time.sleep(0.001)
    own.publish([GroupMessage("group", {"number": number}) for number in range(25)])
    published.open.set()
    assert own.flush(20)
    assert own.dropped == 15
    assert [message["number"] for _, message in published.messages] == [-1, *range(15, 25)]


def test_a_broadcast_to_more_than_may_wait_reaches_everybody(published, monkeypatch):
    monkeypatch.setattr(relay_module, "USERS_PER_BATCH", 10)
    monkeypatch.setattr(message_queue, "MAX_BYTES", 15 * 2 * message_queue.ENVELOPE_BYTES)
    names = [f"user{number:02}" for number in range(40)]
    users = User.objects.bulk_create([User(username=name, password="!") for name in names])
    dropped = relay.dropped
    notify_many(users, "announcement", "Hello, all of you")
    assert receivers.flush(20)
    assert [published.revisions(user) for user in users] == [[1]] * 40
    assert relay.dropped == dropped
    # The first frames left before the last revisions were assigned.
    assert len(published.batches) >= 4


def test_what_is_sent_is_made_before_the_lock_is_taken(published, ada):
    own = Relay()

    def messages():
        assert not own._changed._is_owned()  # type: ignore[attr-defined]
        yield GroupMessage("group", {"number": 1})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        own.publish(messages())
    assert not own._messages


def test_flush_gives_up_when_its_time_is_over(published, ada):
    published.open.clear()
    notify(ada, "announcement", "Hello")
    assert not receivers.flush(0.01)


@pytest.mark.django_db
def test_inside_a_tests_transaction_nothing_is_published(ada):
    before = relay._thread
    notify(ada, "announcement", "Hello")
    assert relay._thread is before
    assert not relay._users


FORK = """
import os, sys, threading
import django
django.setup()
from django.contrib.auth.models import User
from django.db import connection
from messaging.notifications import notify
from realtime.outbound import relay as relay_module
from realtime.outbound.relay import relay

revisions = []
class Publisher:
    def publish(self, messages): revisions.extend(message["revision"] for _, message in messages)
relay_module.publisher_for = lambda layer: Publisher()

ada = User.objects.get(username="ada")
connection.close()
notify(ada, "announcement", "From the parent")
assert relay.flush(20) and revisions == [1], revisions
# The worst moment: a connection is in use, the relay's lock is held, and its thread has one, too.
connection.ensure_connection()
in_use, pool = connection.connection, getattr(connection, "pool", None)
relay._changed.acquire()
pid = os.fork()
if pid == 0:
    notify(ada, "announcement", "From the child")
    assert relay.flush(20) and revisions == [1, 2], revisions
    connection.ensure_connection()
    assert connection.connection is not in_use
    assert pool is None or connection.pool is not pool
    print("the child's relay works", flush=True)
    sys.exit()
relay._changed.release()
_, status = os.waitpid(pid, 0)
assert status == 0, status
# The connection, and those of the pool, are still open.
assert connection.connection is in_use
assert User.objects.filter(username="ada").exists()
notify(ada, "announcement", "From the parent again")
assert relay.flush(20) and revisions == [1, 3], revisions
print("the parent's relay works", flush=True)
"""


def database_url():
    """DATABASE_URL of the tests' own database."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{connection.settings_dict['NAME']}"
    url = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}"))


# The control: a child that keeps what it inherited. An alarm ends it where it waits for what its parent holds.
NOTHING_AFTER_A_FORK = """
import os, signal
register = os.register_at_fork
register(after_in_child=lambda: signal.alarm(5))
def without_ours(**calls):
    if not str(getattr(calls.get("after_in_child"), "__module__", "")).startswith("realtime"):
        register(**calls)
os.register_at_fork = without_ours
"""


def run_fork(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_after_a_fork_parent_and_child_have_a_relay_and_connections_each(ada):
    done = run_fork(FORK)
    assert done.stdout.splitlines() == ["the child's relay works", "the parent's relay works"], done.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert Notification.objects.filter(user=ada).count() == 3


def test_a_fork_that_keeps_its_parents_relay_publishes_nothing(ada):
    done = run_fork(NOTHING_AFTER_A_FORK + FORK)
    assert "the child's relay works" not in done.stdout
    assert done.returncode == 1, done.stderr


def test_the_layer_of_the_tests_is_the_configured_one():
    assert get_channel_layer() is not None
