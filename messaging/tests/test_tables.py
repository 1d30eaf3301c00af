"""Which migrations a database lacks, on an empty one, a half-migrated one and this one."""

import threading

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.db.migrations.recorder import MigrationRecorder

from messaging.models import Notification
from messaging.orm import pools, tables

APPS = ("messaging", "realtime")


@pytest.mark.django_db
def test_a_migrated_database_lacks_none():
    assert tables.unapplied(connection, APPS) == []


@pytest.mark.django_db
def test_what_is_missing_is_named_in_the_order_in_which_it_is_applied():
    applied = MigrationRecorder(connection).migration_qs
    applied.filter(app="messaging", name__gte="0010").delete()
    missing = tables.unapplied(connection, APPS)
    assert missing[0] == "messaging.0010_blocks"
    assert all(name.startswith("messaging.00") for name in missing)
    applied.all().delete()
    missing = tables.unapplied(connection, APPS)
    assert missing[0].startswith(("contenttypes.", "auth."))
    assert missing[-1].startswith(APPS)


@pytest.mark.django_db
def test_migrations_of_other_apps_are_not_asked_for():
    MigrationRecorder(connection).migration_qs.filter(app="admin").delete()
    assert tables.unapplied(connection, APPS) == []


def test_only_the_given_connection_is_opened(threads):
    def ask():
        opened, asking = [], threading.get_ident()

        def note(connection, **kwargs):
            if threading.get_ident() == asking:
                opened.append(connection)

        connection_created.connect(note)
        usual, own = connections["default"], connections["default"].copy()
        assert tables.unapplied(own, APPS) == []
        own.close()
        assert opened == [own]
        assert connections["default"] is usual

    threads.start(ask)
    threads.join()


@pytest.mark.django_db
def test_the_error_of_a_missing_table_or_column_is_recognised():
    for query in ("SELECT 1 FROM no_table", "SELECT no_column FROM messaging_notification"):
        with pytest.raises(DatabaseError) as raised, transaction.atomic():
            Notification.objects.raw(query)[0]
        assert tables.is_missing_table(raised.value)
    assert not tables.is_missing_table(DatabaseError("the connection was closed"))
    assert not tables.is_missing_table(None)


def test_only_a_pool_in_which_calls_wait_for_what_others_hold_is_full():
    full = pools.Pool(size=2, largest=2, idle=0, waiting=1)
    assert full.is_full
    assert not any(
        other.is_full for other in (full._replace(size=1), full._replace(idle=1), full._replace(waiting=0))
    )
