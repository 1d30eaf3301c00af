"""What presence costs the database: statements and writes, counted."""

import uuid
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from conftest import size
from messaging import contacts
from messaging.models import Contact, Notification, UserProfile
from realtime.delivery import presence_fanout
from realtime.models import Connection
from realtime.presence import leases, writer
from realtime.tests.client import TIMEOUT
from realtime.tests.presence import opened, shown
from realtime.tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOCKETS = size(2_000, full=10_000)
RECONNECTING = size(1_000, full=5_000)
CONTACTS = 2_000


class Statements(list[str]):
    """The statements of a thread, without transactions' BEGIN and COMMIT."""

    @contextmanager
    def counted(self):
        def note(execute, sql, params, many, context):
            if sql.split()[0] not in ("BEGIN", "COMMIT", "SET", "ROLLBACK", "RELEASE", "SAVEPOINT"):
                self.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            yield

    @property
    def writes(self):
        return [sql for sql in self if sql.split()[0] in ("INSERT", "UPDATE", "DELETE")]

    def of(self, function):
        """This function, counted on whatever thread it runs."""

        def run(*args, **kwargs):
            with self.counted():
                return function(*args, **kwargs)

        return run


def crowd(number, **profile):
    """So many users, with profiles."""
    users = User.objects.bulk_create(User(username=f"person{n}") for n in range(number))
    UserProfile.objects.bulk_create(UserProfile(user=user, **profile) for user in users)
    return users


@pytest.fixture
def renews_often(monkeypatch, settings):
    """Request it before `other_process`. Its lease is long all the same: no process expires it on a busy machine."""
    monkeypatch.setattr(leases, "_lease", lambda: timedelta(hours=1))
    settings.REALTIME_LEASE_SECONDS = 1.5


def test_a_steady_state_writes_one_row_each_time_a_lease_is_renewed(renews_often, other_process, monkeypatch):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    people = crowd(SOCKETS // 20, is_online=True)
    Connection.objects.bulk_create(
        (
            Connection(id=uuid.uuid4(), process_id=own.process_id, user=people[n // 20], login_hash="hash")
            for n in range(SOCKETS)
        ),
        batch_size=5_000,
    )
    renewals: list[Statements] = []
    reaps: list[Statements] = []

    def noted(function, into):
        def run(*args):
            statements = Statements()
            result = statements.of(function)(*args)
            into.append(statements)
            return result

        return run

    monkeypatch.setattr(leases, "renew", noted(leases.renew, renewals))
    monkeypatch.setattr(leases, "reap", noted(leases.reap, reaps))
    monkeypatch.setattr(leases, "record", None)  # nothing else is written
    monkeypatch.setattr(writer, "REAP_SECONDS", 0.02)
    wait_for(lambda: len(renewals) > 2 and len(reaps) > 2)
    # The first may be from before.
    for statements in renewals[1:]:
        assert len(statements) == len(statements.writes) == 1
        assert statements[0].startswith('UPDATE "realtime_serverprocess"')
    for statements in reaps[1:]:
        assert statements.writes == []
        assert len(statements) <= 2
    assert Connection.objects.count() == SOCKETS
    print(f"{SOCKETS} sockets: 1 row written each 5 s; each 2 s {len(reaps[0])} reads by the reaper")


def coming_online_costs(user):
    """Statements when a user comes online: the batch with the notifications, a hub's reading, GET presence."""
    batch, reading, answer = Statements(), Statements(), Statements()
    process = leases.register()
    with batch.counted():
        leases.record(process, [opened(user)])
    with reading.counted():
        presence_fanout._read([user.pk], [user.pk])
    client = Client()
    client.force_login(user)
    with answer.counted():
        assert client.get("/api/v1/presence").status_code == 200
    return len(batch), len(reading), len(answer)


@pytest.mark.parametrize("is_online", [False, True], ids=["offline", "online"])
def test_coming_online_costs_as_many_queries_with_2000_contacts_as_with_2(ada, grace, is_online):
    people = crowd(CONTACTS + 2, is_online=is_online)

    def meet(user, others):
        pairs = (sorted((user.pk, other.pk)) for other in others)
        Contact.objects.bulk_create(Contact(low_id=low, high_id=high) for low, high in pairs)

    meet(grace, people[:2])
    few = coming_online_costs(grace)
    meet(ada, people[2:])
    many = coming_online_costs(ada)
    assert many == few
    assert shown(ada)[0]
    assert Notification.objects.filter(actor=ada).count() == (CONTACTS if is_online else 0)
    print(f"{CONTACTS} contacts: {many[0]} statements to write, {many[1]} a hub, {many[2]} GET presence")


def test_many_sockets_that_come_at_once_are_written_in_few_transactions(other_process, monkeypatch):
    _, own = other_process
    wait_for(lambda: own.process_id is not None)
    people = crowd(RECONNECTING)
    statements, batches = Statements(), []

    def record(process_id, batch, record=leases.record):
        batches.append(len(batch))
        return statements.of(record)(process_id, batch)

    monkeypatch.setattr(leases, "record", record)
    with own._changed:
        for user in people:
            own.opened(str(uuid.uuid4()), user.pk, "hash")
    assert own.flush(TIMEOUT * 3)
    assert UserProfile.objects.filter(is_online=True).count() == RECONNECTING
    assert batches == [writer.BATCH_SIZE] * (RECONNECTING // writer.BATCH_SIZE)
    assert len(statements) <= 14 * len(batches)
    print(f"{RECONNECTING} sockets: {len(batches)} transactions, {len(statements)} statements")


def test_contacts_are_read_without_the_messages(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    statements = Statements()
    with statements.counted():
        contacts.viewers_of([ada.pk])
        contacts.online_contacts([ada.pk], limit=10)
        contacts.presence_seen_by([ada.pk])
    assert not [sql for sql in statements if "messaging_message" in sql]
