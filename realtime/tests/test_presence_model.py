"""Presence against a model: whatever comes and goes, in whatever order, in the end the database shows who is there."""

import random
import uuid

import pytest
from django.contrib.auth.models import User

from conftest import size
from messaging.models import UserProfile
from realtime.models import Connection
from realtime.presence import leases, writer
from realtime.tests.client import TIMEOUT
from realtime.tests.processes import OtherProcess, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SEED = 20_261_124
SCHEDULES = size(20, full=1_000)
PEOPLE = 50


@pytest.fixture
def without_grace(settings, monkeypatch):
    """Users who have left are offline at once, so that the end of a schedule can be compared."""
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 0
    monkeypatch.setattr(writer, "SERVER_CLOSED_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "GATHER_SECONDS", 0.002)
    monkeypatch.setattr(writer, "REAP_SECONDS", 0.02)
    monkeypatch.setattr(leases, "EXPIRED_GRACE_SECONDS", 0.0)


@pytest.fixture
def processes(without_grace, transactional_db):
    running = [OtherProcess(), OtherProcess()]
    for process in running:
        wait_for(lambda process=process: process.presence.process_id is not None)
    yield [process.presence for process in running]
    for process in running:
        process.stop()


class Model:
    """Who has which socket at which process."""

    def __init__(self, people, processes):
        self.random = random.Random(SEED)
        self.people, self.processes = people, processes
        self.sockets = {}

    def play(self):
        """A schedule: some people come and go, none of them waiting for anything."""
        busy = self.random.sample(self.people, self.random.randint(1, 20))
        for _ in range(self.random.randint(5, 60)):
            user = self.random.choice(busy)
            own = [key for key, (owner, _) in self.sockets.items() if owner == user]
            if own and self.random.random() < 0.5:
                self.close(self.random.choice(own))
            else:
                self.open(user)
        if self.random.random() < 0.1:
            # A live process is expired by mistake.
            mistaken = self.random.choice(self.processes)
            leases.expire_processes([mistaken.process_id], grace=0)
            # It finds out when it writes next.
            mistaken.closed(str(uuid.uuid4()), 0, None)

    def open(self, user):
        key, process = str(uuid.uuid4()), self.random.choice(self.processes)
        self.sockets[key] = (user, process)
        process.opened(key, user, "hash")

    def close(self, key):
        user, process = self.sockets.pop(key)
        process.closed(key, user, self.random.choice([None, 1012, 4000, 4503]))

    def differences(self):
        """What the database shows otherwise than this."""
        stored = {str(pk): user for pk, user in Connection.objects.values_list("id", "user_id")}
        sockets = {key: user for key, (user, _) in self.sockets.items()}
        online = set(UserProfile.objects.filter(is_online=True).values_list("user_id", flat=True))
        return (stored.items() ^ sockets.items(), online ^ set(sockets.values()))


def test_after_every_schedule_the_database_shows_what_the_model_does(processes):
    names = [f"person{number}" for number in range(PEOPLE)]
    User.objects.bulk_create(User(username=name) for name in names)
    UserProfile.objects.bulk_create(UserProfile(user=user) for user in User.objects.all())
    people = list(User.objects.order_by("pk").values_list("pk", flat=True))
    model = Model(people, processes)
    for number in range(SCHEDULES):
        model.play()
        for process in processes:
            assert process.flush(TIMEOUT)
        wait_for(lambda: model.differences() == (set(), set()))
        # Online and offline alternate: each change of the version is one of them.
        for is_online, version in UserProfile.objects.values_list("is_online", "version"):
            assert version % 2 == is_online, f"schedule {number}, seed {SEED}"
    changes = sum(UserProfile.objects.values_list("version", flat=True))
    print(
        f"{SCHEDULES} schedules, {PEOPLE} people, {changes} comings and goings, 0 differences (seed {SEED})"
    )


def test_the_model_sees_a_difference(processes, ada):
    model = Model([ada.pk], processes)
    model.open(ada.pk)
    assert processes[0].flush(TIMEOUT)
    assert processes[1].flush(TIMEOUT)
    wait_for(lambda: model.differences() == (set(), set()))
    UserProfile.objects.update(is_online=False)
    assert model.differences() == (set(), {ada.pk})
    UserProfile.objects.update(is_online=True)
    Connection.objects.update(id=uuid.uuid4())
    assert model.differences()[0]


def test_what_is_shorter_than_the_grace_is_no_event(processes, ada, settings):
    settings.REALTIME_OFFLINE_GRACE_SECONDS = 1_000
    model = Model([ada.pk], processes)
    for _ in range(50):
        model.open(ada.pk)
        model.close(next(iter(model.sockets)))
    model.open(ada.pk)
    for process in processes:
        assert process.flush(TIMEOUT)
    profile = UserProfile.objects.get(user=ada)
    assert (profile.is_online, profile.version) == (True, 1)
